-- Gives an event its offset, keeps it, and tells every node. KEYS[6]: by what the event
-- is known again. ARGV: epoch of a new room, payload, cap, how long the room lasts, how
-- long the event is known again, what the room has to be, its token, whether the same
-- may come again from now on, retain keys...
local refused = wrong(ARGV[6], ARGV[7])
if refused then return refused end
local same, known_for = KEYS[6], ARGV[5]
local repeats = meta .. ':same'
if ARGV[8] == 'once' or ARGV[8] == 'afresh' then
  local seen = redis.call('HGET', repeats, same)
  if seen then return seen end
else
  local seen = redis.call('GET', same)
  if seen then return seen end
end
local cap = tonumber(ARGV[3])
local own_cap = redis.call('HGET', meta, 'y')
if own_cap then cap = math.max(tonumber(own_cap), tonumber(ARGV[9])) end
local head, frame = append(ARGV[1], ARGV[2], cap)
if redis.call('HGET', meta, 'r') ~= '0' then
  for at = 10, #ARGV do redis.call('HSET', kept, ARGV[at], frame) end
end
if ARGV[8] == 'afresh' then redis.call('DEL', repeats) end
if ARGV[8] == '' then
  redis.call('SET', same, head, 'PX', known_for)
else
  redis.call('HSET', repeats, same, head)
  redis.call('PEXPIRE', repeats, known_for)
end
lasts(ARGV[4])
return head

-- Gives an event its offset, keeps it, and tells every node. KEYS[6]: by what the event
-- is known again. ARGV: epoch of a new room, payload, cap, how long the room lasts, how
-- long the event is known again, what the room has to be, its token, whether the same
-- may come again from now on, retain keys...
local refused = wrong(ARGV[6], ARGV[7])
if refused then return refused end
-- What may come again is another thing then: of the next generation.
local function known_by()
  if ARGV[8] == '' then return KEYS[6] end
  return KEYS[6] .. ':' .. (redis.call('HGET', meta, 'g') or '0')
end
local seen = redis.call('GET', known_by())
if seen then return seen end
local cap = tonumber(ARGV[3])
local own_cap = redis.call('HGET', meta, 'y')
if own_cap then cap = math.max(tonumber(own_cap), tonumber(ARGV[9])) end
local head, frame = append(ARGV[1], ARGV[2], cap)
if redis.call('HGET', meta, 'r') ~= '0' then
  for at = 10, #ARGV do redis.call('HSET', kept, ARGV[at], frame) end
end
if ARGV[8] == 'afresh' then redis.call('HINCRBY', meta, 'g', 1) end
redis.call('SET', known_by(), head, 'PX', ARGV[5])
-- If nobody has ever joined the room, nobody returns to it: its keys expire after a minute.
local has_members = redis.call('HEXISTS', meta, 'j') == 1
lasts((ARGV[4] == '0' or has_members) and ARGV[4] or '60000')
return head

-- Tells some members only: it has no offset, and is kept nowhere. KEYS[6]: by what it is
-- known again. ARGV: epoch of a new room, payload, how long it is known again, what the
-- room has to be, its token, the peer that it is for.
local refused = wrong(ARGV[4], ARGV[5])
if refused then return refused end
local seen = redis.call('GET', KEYS[6])
if seen then return seen end
if ARGV[6] ~= '' then
  local is_there = false
  for _, node in ipairs(redis.call('SMEMBERS', nodes)) do
    is_there = is_there or redis.call('ZSCORE', members_of(node), ARGV[6])
  end
  if not is_there then return redis.error_reply('NOPEER nobody has this name') end
end
local epoch = epoch_or(ARGV[1])
local head = epoch .. ' ' .. redis.call('HGET', meta, 'h') .. ' ' .. now()
redis.call('SPUBLISH', channel, 't' .. head .. ' ' .. ARGV[2])
redis.call('SET', KEYS[6], head, 'PX', ARGV[3])
return head

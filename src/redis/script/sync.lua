-- What a room has behind an offset. ARGV: epoch of a new room, what the room has to be,
-- how long it lasts, the epoch and the number that the node has come to, whether it wants
-- all that is kept, and in a lobby the node (else empty), which wants its other peers; cap.
local refused = wrong(ARGV[2], '')
if refused then return refused end
local epoch, number = unpack(redis.call('HMGET', meta, 'e', 'h'))
local its_epoch, its_number = ARGV[4], tonumber(ARGV[5])
local has_come = epoch == its_epoch and tonumber(number) or 0
if has_come < its_number and (epoch == its_epoch or is_unused(epoch, number)) then return { 'behind' } end
if not epoch then
  epoch, number = epoch_or(ARGV[1]), 0
end
lasts(ARGV[3])
local from = '-'
if ARGV[6] == '0' and epoch == its_epoch then from = string.format('(%.0f-0', its_number) end
local frames = {}
if its_number == 0 then
  -- What is kept for a while for those who know some of it, is not for others.
  local entries = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', ARGV[8])
  for at = #entries, 1, -1 do frames[#frames + 1] = entries[at][2][2] end
else
  for _, entry in ipairs(redis.call('XRANGE', stream, from, '+')) do
    frames[#frames + 1] = entry[2][2]
  end
end
local peers = {}
for _, node in ipairs(ARGV[7] ~= '' and redis.call('SMEMBERS', nodes) or {}) do
  if node ~= ARGV[7] then
    for _, value in ipairs(redis.call('ZRANGE', members_of(node), 0, -1, 'WITHSCORES')) do
      peers[#peers + 1] = value
    end
  end
end
return {
  'at', epoch, tostring(number), frames, redis.call('HGETALL', kept),
  redis.call('HMGET', meta, 't', 'r', 'y'), peers, redis.call('HMGET', meta, 'pe', 'ph'),
}

-- What a room has behind an offset. ARGV: epoch of a new room, what the room has to be,
-- how long it lasts, the epoch and the number that the node has come to, whether it wants
-- all that is kept, and in a lobby the node (else empty), which wants its other peers; cap.
-- Answers not much more than 1 MiB of events: where all is wanted the newest, else the
-- next, and whether there are more.
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
local most, at_once = 1048576, 64
-- What is kept for a while for those who know some of it, is not for others.
local count = its_number == 0 and tonumber(ARGV[8]) or math.huge
local frames, bytes, has_more = {}, 0, 0
local function take(entries)
  for _, entry in ipairs(entries) do
    if #frames < count then frames[#frames + 1] = entry[2][2] end
    bytes = bytes + #entry[2][2]
  end
  has_more = #entries == at_once and 1 or 0
  local goes_on = has_more == 1 and bytes < most and #frames < count
  return goes_on and '(' .. entries[#entries][1]
end
if ARGV[6] == '0' and epoch == its_epoch then
  local from = string.format('(%.0f-0', its_number)
  while from do
    from = take(redis.call('XRANGE', stream, from, '+', 'COUNT', at_once))
  end
else
  local to = '+'
  while to do
    to = take(redis.call('XREVRANGE', stream, to, '-', 'COUNT', at_once))
  end
  has_more = 0
  local newest_first = frames
  frames = {}
  for at = #newest_first, 1, -1 do frames[#frames + 1] = newest_first[at] end
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
  redis.call('HMGET', meta, 't', 'r', 'y'), peers, has_more,
  redis.call('HMGET', meta, 'pe', 'ph'),
}

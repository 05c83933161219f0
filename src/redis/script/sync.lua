-- What a room has behind an offset. ARGV: epoch of a new room, what the room has to be,
-- how long it lasts, the epoch and the number that the node has come to, whether it wants
-- all that is kept, and the node. Answers not much more than 1 MiB of events: where all
-- is wanted the newest, else the next, and whether there are more.
local refused = wrong(ARGV[2], '')
if refused then return refused end
local epoch, number = unpack(redis.call('HMGET', meta, 'e', 'h'))
local its_epoch, its_number = ARGV[4], tonumber(ARGV[5])
local is_behind = (not epoch and its_number > 0)
  or (epoch == its_epoch and tonumber(number) < its_number)
if is_behind then return { 'behind' } end
if not epoch then
  epoch, number = epoch_or(ARGV[1]), 0
end
lasts(ARGV[3])
local most, at_once = 1048576, 64
local frames, bytes, has_more = {}, 0, 0
local function take(entries)
  for _, entry in ipairs(entries) do
    frames[#frames + 1] = entry[2][2]
    bytes = bytes + #entry[2][2]
  end
  local last = entries[#entries]
  has_more = #entries == at_once and 1 or 0
  return has_more == 1 and bytes < most and '(' .. last[1]
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
for _, node in ipairs(redis.call('SMEMBERS', nodes)) do
  if node ~= ARGV[7] then
    for _, value in ipairs(redis.call('ZRANGE', members_of(node), 0, -1, 'WITHSCORES')) do
      peers[#peers + 1] = value
    end
  end
end
return {
  'at', epoch, tostring(number), frames, redis.call('HGETALL', kept),
  redis.call('HMGET', meta, 't', 'r', 'y'), peers, has_more,
}

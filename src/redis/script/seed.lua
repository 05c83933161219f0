-- Redis has forgotten what this node knows: the room goes on behind that, in a new epoch.
-- Where that was stays known, for nodes that have come further. Does nothing where
-- another node was faster. ARGV: the new epoch, how long the room lasts, the epoch and the
-- number that the node has come to, cap, how many events follow; of each its number and
-- its frame; then retain keys and frames.
local epoch, number = unpack(redis.call('HMGET', meta, 'e', 'h'))
local its_epoch, its_number = ARGV[3], tonumber(ARGV[4])
if epoch == its_epoch and tonumber(number) >= its_number then return 0 end
if epoch ~= its_epoch and not is_unused(epoch, number) then return 0 end
redis.call('HSET', meta, 'e', ARGV[1], 'h', ARGV[4], 'pe', its_epoch, 'ph', ARGV[4])
local known = tonumber(number or 0)
local at = 7
for _ = 1, tonumber(ARGV[6]) do
  if tonumber(ARGV[at]) > known then
    redis.call('XADD', stream, 'MAXLEN', ARGV[5], ARGV[at] .. '-0', 'd', ARGV[at + 1])
    redis.call('HINCRBY', meta, 'b', #ARGV[at + 1])
  end
  at = at + 2
end
while at < #ARGV do
  redis.call('HSET', kept, ARGV[at], ARGV[at + 1])
  at = at + 2
end
lasts(ARGV[2])
return 1

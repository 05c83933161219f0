-- A page of the clients in a room. ARGV: epoch of a new room, most clients per node, the
-- number behind which the page begins, whether this is a lobby, cap, whether dead nodes may be
-- removed. Answers the total, then each member and its number; numbers ascend in join order.
if ARGV[6] == '1' then bury(ARGV[4] == '1', ARGV[1], ARGV[5]) end
local names = {}
for _, node in ipairs(redis.call('SMEMBERS', nodes)) do
  local some = redis.call('ZRANGE', members_of(node), '(' .. ARGV[3], '+inf', 'BYSCORE',
    'LIMIT', 0, ARGV[2], 'WITHSCORES')
  for _, value in ipairs(some) do names[#names + 1] = value end
end
return { total(), names }

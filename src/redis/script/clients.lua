-- A page of who is in a room. ARGV: epoch of a new room, how many clients of each node,
-- behind which number, whether this is a lobby, cap, whether nodes may be buried. Answers
-- the total, then members and when they came, as numbers that count up.
if ARGV[6] == '1' then bury(ARGV[4] == '1', ARGV[1], ARGV[5]) end
local names = {}
for _, node in ipairs(redis.call('SMEMBERS', nodes)) do
  local some = redis.call('ZRANGE', members_of(node), '(' .. ARGV[3], '+inf', 'BYSCORE',
    'LIMIT', 0, ARGV[2], 'WITHSCORES')
  for _, value in ipairs(some) do names[#names + 1] = value end
end
return { total(), names }

-- Who is in a room. ARGV: epoch of a new room, how many names, whether this is a lobby,
-- cap, whether nodes may be buried. Answers the total, then members and when they came.
if ARGV[5] == '1' then bury(ARGV[3] == '1', ARGV[1], ARGV[4]) end
local names = {}
for _, node in ipairs(redis.call('SMEMBERS', nodes)) do
  local some = redis.call('ZRANGE', members_of(node), 0, tonumber(ARGV[2]) - 1, 'WITHSCORES')
  for _, value in ipairs(some) do names[#names + 1] = value end
end
return { total(), names }

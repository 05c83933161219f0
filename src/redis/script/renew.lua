-- A node says that it is there. ARGV: epoch of a new room, node, how long it is believed,
-- how long the room lasts, whether this is a lobby, cap, whether nodes may be buried.
-- Answers 0 where nobody believed it any more.
local node = ARGV[2]
local is_known = redis.call('SISMEMBER', nodes, node) == 1
  and redis.call('EXISTS', members_of(node)) == 1
if not is_known then return 0 end
lives(node, ARGV[3])
if ARGV[7] == '1' then bury(ARGV[5] == '1', ARGV[1], ARGV[6]) end
lasts(ARGV[4])
if ARGV[4] ~= '0' then redis.call('PEXPIRE', members_of(node), ARGV[4]) end
return 1

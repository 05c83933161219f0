-- A node says who is in a room there. ARGV: epoch of a new room, node, how long it is
-- believed, how long the room lasts, whether this is a lobby, cap, whether nobody else is
-- in a lobby; then of each client its member and, for a lobby, its origin.
local node, is_lobby = ARGV[2], ARGV[5] == '1'
local listed = {}
epoch_or(ARGV[1])
for at = 8, #ARGV, 2 do
  local member = ARGV[at]
  listed[member] = true
  if not redis.call('ZSCORE', members_of(node), member) then
    redis.call('ZADD', members_of(node), redis.call('HINCRBY', meta, 'j', 1), member)
    if is_lobby then
      append(ARGV[1], cjson.encode({ k = 'joined', s = member, o = ARGV[at + 1] }), ARGV[6])
    end
  end
end
-- Who has just left a lobby says so itself.
if not is_lobby or ARGV[7] == '1' then
  for _, member in ipairs(redis.call('ZRANGE', members_of(node), 0, -1)) do
    if not listed[member] then
      redis.call('ZREM', members_of(node), member)
      if is_lobby then append(ARGV[1], cjson.encode({ k = 'left', s = member }), ARGV[6]) end
    end
  end
end
if redis.call('ZCARD', members_of(node)) > 0 then
  redis.call('SADD', nodes, node)
  lives(node, ARGV[3])
else
  redis.call('SREM', nodes, node)
end
lasts(ARGV[4])
if ARGV[4] ~= '0' then redis.call('PEXPIRE', members_of(node), ARGV[4]) end
return 1

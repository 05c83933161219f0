-- A client has left a room. ARGV: epoch of a new room, node, member, the payload that
-- says it in a lobby (else empty), cap, whether the room was his own: it ends with him.
local node = ARGV[2]
if ARGV[4] ~= '' and redis.call('ZSCORE', members_of(node), ARGV[3]) then epoch_or(ARGV[1]) end
local was_there = redis.call('ZREM', members_of(node), ARGV[3])
if was_there == 1 and ARGV[4] ~= '' then append(ARGV[1], ARGV[4], ARGV[5]) end
if redis.call('ZCARD', members_of(node)) == 0 then
  redis.call('SREM', nodes, node)
  redis.call('DEL', lease_of(node))
  if ARGV[6] == '1' then redis.call('DEL', meta, stream, kept, nodes, members_of(node)) end
end
return was_there

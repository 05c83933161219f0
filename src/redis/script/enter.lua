-- A client comes into a room. ARGV: epoch of a new room, node, member, how long the node
-- is believed to be there, how long the room lasts, what the room has to be, how many may
-- be in a lobby (else 0), the payload that says it there, cap, whether nodes may be buried.
local refused = wrong(ARGV[6], '')
if refused then return refused end
local node, member, most, cap = ARGV[2], ARGV[3], tonumber(ARGV[7]), ARGV[9]
epoch_or(ARGV[1])
if ARGV[10] == '1' then bury(most > 0, ARGV[1], cap) end
local is_known = redis.call('ZSCORE', members_of(node), member)
local all = total()
if not is_known and most > 0 and all >= most then
  return redis.error_reply('CROWDED the lobby is full')
end
redis.call('SADD', nodes, node)
lives(node, ARGV[4])
if is_known then return { all, 1 } end
redis.call('ZADD', members_of(node), redis.call('HINCRBY', meta, 'j', 1), member)
if most > 0 then append(ARGV[1], ARGV[8], cap) end
lasts(ARGV[5])
if ARGV[5] ~= '0' then redis.call('PEXPIRE', members_of(node), ARGV[5]) end
return { all + 1, 0 }

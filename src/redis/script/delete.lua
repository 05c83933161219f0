-- Deletes the room that has this token, with who is in it. ARGV: of its token.
if redis.call('HGET', meta, 't') ~= ARGV[1] then
  return redis.error_reply('NOTCREATED there is no such room')
end
for _, node in ipairs(redis.call('SMEMBERS', nodes)) do
  redis.call('DEL', members_of(node), lease_of(node))
end
redis.call('DEL', meta, stream, kept, nodes)
redis.call('SPUBLISH', channel, 'x')
return 1

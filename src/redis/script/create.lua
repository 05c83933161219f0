-- Creates a room. ARGV: its epoch, of its token, whether it retains, how many events it
-- keeps.
if redis.call('HEXISTS', meta, 't') == 1 then
  return redis.error_reply('EXISTS there is such a room')
end
redis.call('DEL', stream, kept, meta)
redis.call('HSET', meta, 'e', ARGV[1], 'h', 0, 't', ARGV[2], 'r', ARGV[3], 'y', ARGV[4])
return 1

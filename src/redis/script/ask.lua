-- Asks the node whose client has this room to itself. ARGV: what the room has to be, the
-- question, with where its answer goes.
local refused = wrong(ARGV[1], '')
if refused then return refused end
redis.call('SPUBLISH', channel, 'q' .. ARGV[2])
return 1

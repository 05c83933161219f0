-- What all scripts know of one room. Its keys have one hash tag: they are in one slot.
-- KEYS: meta, stream, kept, nodes, channel. Of a node: its members, and its lease.
local meta, stream, kept, nodes, channel = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local function members_of(node) return channel .. ':w:' .. node end
local function lease_of(node) return channel .. ':l:' .. node end

-- Milliseconds, as text: a number of that size would be written with an exponent.
local function now()
  local time = redis.call('TIME')
  return time[1] .. string.format('%03d', math.floor(tonumber(time[2]) / 1000))
end

-- The epoch of the room; where there is none, it is the new one. Who knows events of
-- the room names their epoch instead, behind `=`: if the room has another one, or none,
-- it is first to be said what was forgotten, and asked what there is.
local function epoch_or(new)
  local epoch = redis.call('HGET', meta, 'e')
  if string.sub(new, 1, 1) == '=' and new ~= '=' .. (epoch or '') then
    error(redis.error_reply('BEHIND the room has another epoch'))
  end
  if not epoch then
    epoch = new
    redis.call('HSET', meta, 'e', epoch, 'h', 0)
  end
  return epoch
end

-- Whether nothing was published in a room, as in one that is not there: one who comes
-- late may have begun it anew. What was created is another room than before.
local function is_unused(epoch, number)
  return not epoch or (tonumber(number) == 0 and redis.call('HEXISTS', meta, 't') == 0)
end

-- A room that nobody uses is forgotten after so many milliseconds; 0: it never is.
local function lasts(ttl)
  if ttl ~= '0' then
    for _, key in ipairs({ meta, stream, kept, nodes }) do
      redis.call('PEXPIRE', key, ttl)
    end
  end
end

-- So many events more than its cap a stream may have, and for so many milliseconds:
-- what nodes append that could not for a while, others that come back later still find.
local SPARE_MOST, SPARE_FOR = 2048, 60000

-- So many bytes a stream has at most, about: what is trimmed counts as the average.
local BYTES_MOST = 4194304

local function shorten(length, most, bytes)
  local gone = redis.call('XTRIM', stream, 'MAXLEN', most)
  if gone > 0 then redis.call('HINCRBY', meta, 'b', -math.floor(bytes * gone / length)) end
end

local function trim(cap, at, bytes)
  local length = redis.call('XLEN', stream)
  if bytes > BYTES_MOST and length > 1 then
    return shorten(length, math.floor(length * 3 / 4), bytes)
  end
  if length <= cap then return end
  if length <= cap + SPARE_MOST then
    local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1][2][2]
    local since = tonumber(string.match(oldest, '^%S+ %S+ (%d+)'))
    if tonumber(at) - since < SPARE_FOR then return end
  end
  -- More than one comes, so that it gets shorter.
  shorten(length, math.max(cap, length - 2), bytes)
end

-- Gives the next offset, and tells every node.
local function append(new_epoch, payload, cap)
  local epoch = epoch_or(new_epoch)
  -- Where the stream can't be written, nothing has happened.
  local number = string.format('%.0f', tonumber(redis.call('HGET', meta, 'h')) + 1)
  local at = now()
  local head = epoch .. ' ' .. number .. ' ' .. at
  local frame = head .. ' ' .. payload
  redis.call('XADD', stream, number .. '-0', 'd', frame)
  redis.call('HSET', meta, 'h', number)
  trim(tonumber(cap), at, redis.call('HINCRBY', meta, 'b', #frame))
  redis.call('SPUBLISH', channel, 'e' .. frame)
  return head, frame
end

-- A node is there for so many milliseconds more; that it goes on has to fit into a
-- memory that is full.
local function lives(node, lease)
  if redis.call('PEXPIRE', lease_of(node), lease) == 0 then
    redis.call('SET', lease_of(node), 1, 'PX', lease)
  end
end

local function is_alive(node) return redis.call('EXISTS', lease_of(node)) == 1 end

-- Nodes that have not said for long that they are there, have left with their clients.
local function bury(is_lobby, new_epoch, cap)
  for _, node in ipairs(redis.call('SMEMBERS', nodes)) do
    if not is_alive(node) then
      if is_lobby then
        for _, name in ipairs(redis.call('ZRANGE', members_of(node), 0, -1)) do
          append(new_epoch, cjson.encode({ k = 'left', s = name }), cap)
        end
      end
      redis.call('DEL', members_of(node))
      redis.call('SREM', nodes, node)
    end
  end
end

local function total()
  local sum = 0
  for _, node in ipairs(redis.call('SMEMBERS', nodes)) do
    sum = sum + redis.call('ZCARD', members_of(node))
  end
  return sum
end

-- What a room has to be for what is asked, and why it is not.
local function wrong(need, token)
  if need == 'created' then
    local known = redis.call('HGET', meta, 't')
    if not known then return redis.error_reply('NOTCREATED there is no such room') end
    if token ~= '' and token ~= known then
      return redis.error_reply('WRONGTOKEN this is another room')
    end
  elseif need == 'own' then
    for _, node in ipairs(redis.call('SMEMBERS', nodes)) do
      if is_alive(node) then return nil end
    end
    return redis.error_reply('NOTCREATED nobody has this room')
  end
  return nil
end

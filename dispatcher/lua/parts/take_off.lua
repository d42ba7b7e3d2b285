-- @include tolerant

-- Returns whether the worker had it.
local function take_off(worker, token)
  if redis.call('ZREM', K.running .. worker, token) == 0 then return false end
  if fields_of(K.worker .. worker, 'suspect')[1] == token then
    redis.call('HDEL', K.worker .. worker, 'suspect')
  end
  return true
end

-- @include tolerant

-- Returns whether the worker had it.
local function take_off(worker, attempt_id)
  if redis.call('ZREM', K.running .. worker, attempt_id) == 0 then return false end
  if fields_of(K.worker .. worker, 'suspect')[1] == attempt_id then
    redis.call('HDEL', K.worker .. worker, 'suspect')
  end
  return true
end

-- drain: the workers at a place take no more jobs; or they take jobs again.
-- KEYS[1]  the model's key prefix
-- ARGV     1 place, as a worker's row has it; of a row without one its worker's name
--          2 drained (1 or 0)
-- Returns  {changed (1 or 0), worker, …}  the workers there now. The order is kept for those that
--          come there later
-- @include call
-- @include bells
-- @include call_all
-- @include now_ms
-- @include speeds
-- @include tolerant
local place, is_drained = ARGV[1], ARGV[2] == '1'
c.now, c.rung = now_ms(), {}

-- Claims read this: the worker takes nothing from now on, whatever its bridge knows.
local function stop(worker)
  redis.call('HSET', K.worker .. worker, 'accepting', 0, 'drained', c.now)
  publish_speed(c, worker)
end

local function go_on(worker)
  redis.call('HDEL', K.worker .. worker, 'drained')
  ring_worker(worker)
end

-- The removal comes first because a script may then write at `maxmemory` too.
local function keep_order()
  local since = redis.call('ZSCORE', K.drained, place)
  local had = redis.call('ZREM', K.drained, place) == 1
  if is_drained then
    redis.call('ZADD', K.drained, since or c.now, place)
    redis.call('ZREMRANGEBYRANK', K.drained, 0, -MOST_DRAINED - 1)
  end
  return had ~= is_drained and 1 or 0
end

return conduct(function()
  local found = {keep_order()}
  for _, worker in ipairs(redis.call('ZRANGE', K.workers, 0, VALUES_AT_ONCE - 1)) do
    local about = fields_of(K.worker .. worker, 'epoch', 'place')
    local at = (about[2] or '') ~= '' and about[2] or worker
    if about[1] and at == place then
      if is_drained then stop(worker) else go_on(worker) end
      found[#found + 1] = worker
    end
  end
  -- Another worker may take the jobs that wait for it.
  if is_drained then call_all(c) end
  return found
end)

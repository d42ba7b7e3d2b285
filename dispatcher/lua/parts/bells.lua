-- A bell is a set of one member: many rings are one.

-- Returns whether it did not ring already.
local function ring(bell)
  return redis.call('ZADD', bell, 0, 'ring') == 1
end

local function ring_worker(worker)
  local is_new = ring(K.bell_of .. worker)
  redis.call('PEXPIRE', K.bell_of .. worker, WORKER_TTL_MS)
  return is_new
end

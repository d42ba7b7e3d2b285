-- @include numbers
-- @include tolerant

-- The removal comes first because a script may then write at `maxmemory` too: leases must not run
-- out when memory does.
local function extend_lease(worker, until_ms)
  redis.call('ZREM', K.workers, worker)
  redis.call('ZADD', K.workers, until_ms, worker)
end

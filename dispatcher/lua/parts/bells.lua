-- A bell is a set of one member: many rings are one.

local function ring(bell)
  redis.call('ZADD', bell, 0, 'ring')
end

local function ring_worker(worker)
  ring(K.bell_of .. worker)
  redis.call('PEXPIRE', K.bell_of .. worker, WORKER_TTL_MS)
end

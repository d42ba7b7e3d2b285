-- Tells the worker of a job, which says at its end what it has used.
local function cancel_running(id, job)
  redis.call('HSET', K.job .. id, 'cancelled', 1, 'shown', job.shown or '')
  redis.call('ZADD', K.cancels .. job.worker, 0, id .. ':' .. job.attempt)
  redis.call('PEXPIRE', K.cancels .. job.worker, WORKER_TTL_MS)
end

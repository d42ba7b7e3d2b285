-- @include end_job
-- @include leave_queue
-- @include read_job
-- @lazy retire

local function cancel_running(id, job)
  redis.call('HSET', K.job .. id, 'cancelled', 1)
  redis.call('ZADD', K.cancels .. job.worker, 0, id .. ':' .. job.attempt)
  redis.call('PEXPIRE', K.cancels .. job.worker, WORKER_TTL_MS)
end

-- Returns the state that the job was in.
local function cancel_known(c, id)
  local job = read_job(id)
  if job.flaw then
    retire(c, id, job.flaw)
    return 'failed'
  end
  if job.state == 'running' then cancel_running(id, job) end
  if job.state == 'queued' then leave_queue(c, id, job) end
  if job.state == 'queued' or job.state == 'lost' then
    end_job(c, id, 'cancelled', 'cancelled', 1)
  end
  return job.state
end

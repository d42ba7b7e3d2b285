-- @include bells
-- @include charge
-- @include leave_queue
-- @include stopped_running
-- @include take_off

-- Takes a job out of the queue or off its worker. What becomes of it then is up to the caller.
local function withdraw(c, id, job)
  if job.state == 'queued' then
    leave_queue(c, id, job)
  elseif job.state == 'running' then
    local attempt_id = id .. ':' .. job.attempt
    take_off(job.worker, attempt_id)
    redis.call('ZADD', K.cancels .. job.worker, 0, attempt_id)
    redis.call('PEXPIRE', K.cancels .. job.worker, WORKER_TTL_MS)
    ring_worker(job.worker)
    stopped_running(c, job)
    charge(c, job, job.estimate, 0)
  end
end

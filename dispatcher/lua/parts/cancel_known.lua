-- @include cancel_running
-- @include end_job
-- @include leave_queue
-- @include read_job
-- @include use
-- @lazy retire

-- `shown` is what its client was shown, '' where the api does not tell. Returns the state that the
-- job was in.
local function cancel_known(c, id, shown)
  local job = read_job(id)
  if job.flaw then
    retire(c, id, job.flaw)
    return 'failed'
  end
  if shown ~= '' then job.shown = shown end
  if job.state == 'running' then cancel_running(id, job) end
  if job.state == 'queued' then leave_queue(c, id, job) end
  if job.state == 'queued' or job.state == 'lost' then
    end_job(c, id, 'cancelled', 'cancelled', 1, use_shown(c, job))
  end
  return job.state
end

-- @include attempts
-- @include end_job
-- @include leave_queue
-- @include tell
-- @include unclaimed

local function end_queued(c, id, job, state)
  leave_queue(c, id, job)
  tell(job.api, unclaimed(id, job), state, '{}')
  end_job(c, id, state)
end

-- @include attempts
-- @include end_job
-- @include leave_queue
-- @include read_fields
-- @include tell
-- @include unclaimed
-- @include use

local OF_USE = {'seen', 'shown', 'slot_ms', 'part'}

local function end_queued(c, id, job, state)
  leave_queue(c, id, job)
  tell(job.api, unclaimed(id, job), state, '{}')
  if job.visible then read_hash(K.job .. id, OF_USE, job) end
  end_job(c, id, state, use_shown(c, job))
end

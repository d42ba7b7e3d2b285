-- @include attempts
-- @include describe
-- @include read_job
-- @include small_body

-- An attempt that a call with the same nonce has begun.
local function take_up(c, attempt_id)
  local id = split_attempt_id(attempt_id)
  local job = read_job(id)
  if job and not job.flaw then
    c.jobs[#c.jobs + 1] = describe(c, attempt_id, job, small_body(id, job))
  end
end

-- @include flaws
-- @include is_placed
-- @include tolerant
-- @include try

local function flaw_of(id, job)
  -- Made here, as some calls never need them: what is made for each call adds up.
  local flaw = flaw_in(job,
    {'api', 'tenant', 'user', 'tier', 'class', 'place', 'state', 'wants'},
    {'weight', 'estimate', 'prompt_estimate', 'completion_estimate', 'bytes', 'enqueued_ms',
      'wait_until_ms', 'deadline_ms', 'attempts', 'max_attempts', 'crashes', 'max_crashes',
      'generation'})
  if flaw then return flaw end
  if not STATES[job.state] and not FINAL[job.state] then return 'nobody knows its state' end
  if not is_placed(id, job) then return 'its place is not its own' end
  if job.state == 'running' and not (job.worker and job.attempt) then
    return 'nobody knows its worker'
  end
end

-- A job with all its fields, nil where there is none. One with a `flaw` can only be retired.
local function read_job(id)
  local pairs_ = try('HGETALL', K.job .. id)
  if not pairs_ then return {flaw = 'it is not a hash'} end
  if #pairs_ == 0 then return nil end
  local job = {}
  for i = 1, #pairs_, 2 do job[pairs_[i]] = pairs_[i + 1] end
  job.flaw = flaw_of(id, job)
  return job
end

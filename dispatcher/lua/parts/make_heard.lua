-- @include attempts
-- @include flaws
-- @include read_job
-- @include tell
-- @include tell_of_flaw
-- @include unclaimed
-- @include use
-- @include withdraw
-- @lazy retire

-- What failed while nobody could hear it is not tried again.
local HAS_FAILED = {rejected = true, failed = true, expired = true, superseded = true,
                    dropped = true, limited = true}

local function forget(c, id, job)
  take_back_use(c, job)
  withdraw(c, id, job)
  redis.call('ZREM', K.deadlines, id)
  redis.call('DEL', K.job .. id, K.body .. id)
end

-- Tells the api how a job ended. Returns whether Redis still knows the job.
local function make_heard(c, api, id, generation)
  local job = read_job(id)
  if job.flaw and FINAL[job.state] then tell_of_flaw(api, id, generation)
  elseif job.flaw then retire(c, id, job.flaw)
  elseif HAS_FAILED[job.state] then
    tell(api, unclaimed(id, job), 'failed',
      '{"code":"worker_failed","message":"The API was cut off from Redis while the job ended."}')
  else
    forget(c, id, job)
    return false
  end
  return true
end

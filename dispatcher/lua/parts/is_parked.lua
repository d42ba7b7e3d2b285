-- @include counters
-- @include is_side

-- Whether a job must wait since too many of its tenant run.
local function is_parked(c, job)
  return counted(c, 'parked') > 0 and not is_side(job.class)
      and redis.call('SISMEMBER', K.parked, job.tenant) == 1
end

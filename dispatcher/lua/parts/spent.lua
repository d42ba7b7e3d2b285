-- Whether workers have failed at a job often enough.
local function is_spent(job)
  return tonumber(job.attempts) >= tonumber(job.max_attempts)
      or tonumber(job.crashes) >= tonumber(job.max_crashes)
      or tonumber(job.setbacks or '0') >= SETBACKS_PER_ATTEMPT * tonumber(job.max_attempts)
end

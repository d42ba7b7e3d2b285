-- @include numbers

-- What a bridge is told of a job that it has claimed (claim.lua). The trace is last, as most jobs
-- have none.
local function describe(c, attempt_id, job, body)
  return {attempt_id, job.api, job.wants, digits(job.deadline_ms - c.now),
    digits(job.claimed_ms - job.enqueued_ms), job.class, job.path or '', job.form or '', body or '',
    job.trace}
end

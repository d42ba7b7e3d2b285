-- @include unclaimed

-- The id of a job's last attempt, or what stands for it where the job has none.
local function attempt_id_of(id, job)
  return job.attempt and id .. ':' .. job.attempt or unclaimed(id, job)
end

-- Names a job that no attempt holds.
local function unclaimed(id, job)
  return id .. ':-' .. (job.generation or '0')
end

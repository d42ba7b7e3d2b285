-- Forgets the attempt of a job that goes on, and what was counted for it (use.lua).
local function forget_attempt(id, job)
  redis.call('HDEL', K.job .. id, 'attempt', 'worker', 'claimed_ms', 'prefers', 'cached_there',
    'left_since_ms', 'shown', 'counted')
  job.prefers = nil
end

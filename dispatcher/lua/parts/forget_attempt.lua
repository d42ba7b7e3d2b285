-- Also forgets what was counted for one that is not the last.
local function forget_attempt(id, job)
  redis.call('HDEL', K.job .. id, 'attempt', 'worker', 'claimed_ms', 'prefers', 'cached_there',
    'left_since_ms', 'shown', 'counted')
  job.prefers = nil
end

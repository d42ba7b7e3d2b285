-- @include supersede_key

-- Only a queued job can be superseded, so its key ends when it leaves the queue.
local function forget_key(id, job)
  local key = supersede_key(job, job.supersedes)
  if redis.call('GET', key) == id then redis.call('DEL', key) end
end

-- @include numbers
-- @include places

-- Notes that the job is left, and whom to call.
local function leave(c, job, left)
  if left.call then c.called[left.call] = true end
  if not left.ms then return end
  if c.again == 0 or left.ms < c.again then c.again = left.ms end
  if not job.left_since_ms then
    redis.call('HSET', K.job .. job.id, 'left_since_ms', c.now)
  end
  if left.give_to then
    redis.call('HSET', K.job .. job.id, 'prefers', left.give_to, 'cached_there', 0)
    redis.call('ZADD', K.prefers .. left.give_to, sequence_of(job.place), job.place)
    redis.call('PEXPIRE', K.prefers .. left.give_to, WORKER_TTL_MS)
  end
end

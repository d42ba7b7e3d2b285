-- @include classes
-- @include counters
-- @include leave_turns
-- @lazy forget_key

-- Of a queue that is empty now. What is kept of those who wait at other levels went with them.
local function forget_waiting(c, jobs)
  local keys, seen = {K.classes, K.waiting, K.waiting_bytes}, {}
  for _, job in ipairs(jobs) do
    for _, level in ipairs(levels(job)) do
      local parent = level[1]
      for _, key in ipairs({turns(job.class, parent), K.served .. parent, K.idle .. parent}) do
        if not seen[key] then keys[#keys + 1] = key end
        seen[key] = true
      end
    end
  end
  redis.call('DEL', unpack(keys))
  set_counter(c, 'queued_bytes', 0)
  c.added.queued_bytes = nil
  c.classes, c.waiting, c.queued, c.waits = {}, {}, 0, {}
end

local function leave_tenant(job)
  if tonumber(redis.call('ZINCRBY', K.waiting, -1, job.tenant)) <= 0 then
    redis.call('ZREM', K.waiting, job.tenant)
    redis.call('ZREM', K.waiting_bytes, job.tenant)
  else
    redis.call('ZINCRBY', K.waiting_bytes, digits(0 - job.bytes), job.tenant)
  end
end

local function leave_queue(c, id, job)
  if redis.call('ZREM', K.queue, job.place) == 0 then return end
  if job.supersedes then forget_key(id, job) end
  if job.prefers then redis.call('ZREM', K.prefers .. job.prefers, job.place) end
  if queued(c) == 1 and redis.call('EXISTS', K.queue) == 0 then
    return forget_waiting(c, {job})
  end
  leave_class(c, job.class)
  leave_tenant(job)
  count(c, 'queued_bytes', 0 - job.bytes)
  leave_turns(c, job)
end

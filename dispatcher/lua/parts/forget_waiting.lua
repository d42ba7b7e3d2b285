-- @include counters
-- @include levels

-- Forgets all that is kept of those who wait, as these jobs are the last to leave the queue. What
-- was kept of others went with them. Nobody has to come any more.
local function forget_waiting(c, jobs)
  local keys, seen = {K.queue, K.classes, K.waiting, K.waiting_bytes, K.bell}, {}
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
  c.classes, c.waiting, c.queued, c.waits, c.rung = {}, {}, 0, {}, {}
end

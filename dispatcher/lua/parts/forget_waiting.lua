-- @include counters
-- @include levels

-- Forgets all that is kept of waiting jobs: these are the last to leave the queue. No bridge has to
-- come any more.
local function forget_waiting(c, jobs)
  local keys = {K.queue, K.classes, K.waiting, K.waiting_bytes, K.bell, K.side_bell}
  local seen = {}
  for _, job in ipairs(jobs) do
    local of_class = seen[job.class] or {}
    seen[job.class] = of_class
    for _, level in ipairs(levels(job)) do
      local parent, n = level[1], #keys
      if not of_class[parent] then
        of_class[parent], keys[n + 1] = true, turns(job.class, parent)
        keys[n + 2], keys[n + 3] = K.served .. parent, K.idle .. parent
      end
    end
  end
  redis.call('DEL', unpack(keys))
  set_counter(c, 'queued_bytes', 0)
  c.added.queued_bytes = nil
  c.classes, c.waiting, c.queued, c.waits, c.rung = {}, {}, 0, {}, {}
end

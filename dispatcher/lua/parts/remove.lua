-- @include end_queued
-- @include flaws
-- @include work_on

local function clear_place(c, job)
  job.bytes = number(job.bytes)
  leave_queue(c, job.id, job)
  if not job.state then redis.call('ZREM', K.deadlines, job.id) end
end

-- Takes a job that can't be run out of the queue; its `obstacle` says why.
local function remove(c, job)
  c.seen_turns = {}
  if job.obstacle == 'astray' then guarded(c, clear_place, c, job)
  elseif FINAL[job.obstacle] then
    work_on(c, job.id, job.place, nil, end_queued, c, job.id, job, job.obstacle)
  else retire(c, job.id, job.obstacle, job.place) end
end

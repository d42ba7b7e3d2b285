-- Which worker a new job calls.
-- @include bells
-- @include call_one
-- @lazy find_fastest
-- @include is_side
-- @include slots

-- Whether a worker is called alone: it renews in time, and understands the job.
local function is_relied_on(c, worker)
  local about = fields_of(K.worker .. worker, 'renewed_ms', 'protocol')
  return c.now - number(about[1]) <= RELIED_ON_MS and number(about[2]) == PROTOCOL
end

-- The one worker that a job is for, if it has room: the one that it prefers, or where speeds differ
-- the fastest one.
local function find_worker_for(c, job)
  if job.prefers and free_slots(job.prefers) > 0 then return job.prefers end
  local is_sought = counted(c, 'speeds_differ') > 0 and not c.rung[job.class]
    and not is_side(job.class)
  return is_sought and find_fastest(job.class) or nil
end

-- The bridge that has waited longest hears the shared bell first. Where that is another one, it
-- would leave the job, and call the one that it is for. So that one is called alone, unless it may
-- not hear: it has not answered its last ring, or was silent. A ring that is lost all the same
-- costs what any lost ring does.
local function call_for(c, job)
  local worker = find_worker_for(c, job)
  local is_called = worker and ring_worker(worker) and is_relied_on(c, worker)
  if not is_called then call_one(c, job.class) end
end

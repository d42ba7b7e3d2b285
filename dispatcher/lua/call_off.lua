-- call_off: an operator cancels jobs; their clients are told.
-- KEYS[1]  the model's key prefix
-- ARGV     1… jobs
-- Returns  {state, …}  the state that each was in: queued or lost (now gone), running (its worker
--                      is told), a final state or unknown (nothing changed). A damaged one has
--                      failed.
-- @include call
-- @include cancel_running
-- @include end_job
-- @include leave_queue
-- @include now_ms
-- @include read_job
-- @include tell
-- @include attempt_id_of
-- @include use
-- @include work_on
-- @lazy retire
local function end_now(id, job)
  if job.state == 'queued' then leave_queue(c, id, job) end
  tell(job.api, attempt_id_of(id, job), 'cancelled', '{}')
  end_job(c, id, 'cancelled', 'cancelled', 1, use_shown(c, job))
end

local function call_off(id)
  local job = read_job(id)
  if not job then return 'unknown' end
  if job.flaw then
    retire(c, id, job.flaw)
    return 'failed'
  end
  redis.call('DEL', K.body .. id)  -- a removal first passes at maxmemory
  if job.state == 'running' then cancel_running(id, job) end
  if job.state == 'queued' or job.state == 'lost' then end_now(id, job) end
  return job.state
end

return conduct(function()
  local states = {}
  c.now = now_ms()
  for i, id in ipairs(ARGV) do
    states[i] = work_on(c, id, nil, nil, call_off, id) or 'failed'
  end
  return states
end)

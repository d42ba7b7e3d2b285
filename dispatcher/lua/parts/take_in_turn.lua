-- @include begin_running
-- @include charge
-- @include choice
-- @include describe
-- @include is_side
-- @include leave_queue
-- @include small_body
-- @include work_on

local function take(c, job)
  job.claimed_ms = c.now
  local name = c.nonce .. '-' .. #c.jobs + 1 .. '-' .. (job.generation or '0')
  local attempt_id = job.id .. ':' .. name
  leave_queue(c, job.id, job)
  charge(c, job, 0, job.estimate)
  redis.call('HSET', K.job .. job.id, 'state', 'running', 'worker', c.worker, 'attempt', name,
    'claimed_ms', c.now, 'attempts', job.attempts + 1, 'accepted', 1)
  redis.call('ZADD', K.running .. c.worker, is_side(job.class) and 0 - c.now or c.now, attempt_id)
  begin_running(c, c.worker, attempt_id, job)
  c.runs_suspect = c.runs_suspect or is_suspect(c, job)
  c.jobs[#c.jobs + 1] = describe(c, attempt_id, job, small_body(job.id, job))
end

-- Takes up to `wanted` jobs. Each is the next in turn when those before it run.
local function take_in_turn(c, wanted)
  for _ = 1, MOST_TURNS do  -- damaged keys may lead to the same place again and again
    local job = #c.jobs < wanted and find_next(c)
    if not job then return end
    if job ~= CHANGED then work_on(c, job.id, job.place, nil, take, c, job) end
    c.seen_turns, c.most_urgent = {}, nil
  end
end

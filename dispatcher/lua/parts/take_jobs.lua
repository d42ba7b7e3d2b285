-- @include begin_running
-- @include bells
-- @include can_take
-- @include charge
-- @include choice
-- @include describe
-- @include leave_queue
-- @include open_claim
-- @include work_on

local function take(c, job)
  job.claimed_ms = c.now
  local attempt = c.nonce .. '-' .. #c.jobs + 1 .. '-' .. (job.generation or '0')
  local token = job.id .. ':' .. attempt
  leave_queue(c, job.id, job)
  charge(c, job, 0, job.estimate)
  redis.call('HSET', K.job .. job.id, 'state', 'running', 'worker', c.worker, 'attempt', attempt,
    'claimed_ms', digits(c.now), 'attempts', job.attempts + 1, 'accepted', 1)
  redis.call('ZADD', K.running .. c.worker, digits(c.now), token)
  begin_running(c, c.worker, token, job)
  c.runs_suspect = c.runs_suspect or is_suspect(job)
  c.jobs[#c.jobs + 1] = describe(c, token, job, small_body(job.id, job))
end

-- How many jobs to take at most; and whether that is less than wanted, as so many of the model run.
local function limit_of(c)
  local wanted = math.min(c.most, room(c, c.running), MOST_CLAIMED)
  local left = c.max_running > 0 and c.max_running - counted(c, 'running') or wanted
  if left >= wanted then return wanted, false end
  return math.max(0, left), true
end

-- Takes as many jobs as are wanted where `running` run already. Returns the free slots that are
-- left, and whether it took all it wanted.
local function take_jobs(c, running)
  c.running, c.live_apis, c.faster_of = running, {}, {}
  local wanted, is_capped = limit_of(c)
  if is_capped then set_counter(c, 'capped', 1) end
  if wanted > 0 then
    for _, class in ipairs(all_classes(c)) do
      if can_take(class, c.worker) then c.mine[#c.mine + 1] = class end
    end
  end
  while #c.jobs < wanted and #c.mine > 0 do
    local job = find_next(c)
    if not job then break end
    if job ~= CHANGED then work_on(c, job.id, job.place, nil, take, c, job) end
    c.seen_turns, c.most_urgent = {}, nil
  end
  if running == 0 and #c.jobs > 0 then
    redis.call('PEXPIRE', K.running .. c.worker, WORKER_TTL_MS)
  end
  -- Who leaves jobs to others calls those, by their own bells: it would get the shared one itself.
  for other in pairs(c.called) do ring_worker(other) end
  return room(c, running) - #c.jobs, not is_capped and #c.jobs == wanted
end

-- What becomes of a job whose attempt has ended without an answer.
-- @include call_one
-- @include charge
-- @include end_job
-- @include enter_queue
-- @include forget_attempt
-- @include read_job
-- @lazy settle
-- @include spent
-- @include stopped_running
-- @include supersede_key
-- @include take_off
-- @include tell
-- @include use
-- @include work_on

-- As `Shown.text`.
local function shown_text(used)
  return digits(used.completion) .. ' ' .. digits(used.prompt) .. ' ' .. digits(used.cached)
end

-- Counts what a job has used by its end without an answer: where it has failed, only what its
-- client was shown.
local function use_of_unanswered(c, job, verdict, used)
  if used and verdict ~= 'failed' then
    return use(c, job, whole_usage(job.seen, used), slot_ms_of(c, job))
  end
  return use_shown(c, job, slot_ms_of(c, job))
end

-- Only the api knows what its client has seen: it may resume the job (resume.lua).
local function keep_lost(c, id, job, used)
  redis.call('DEL', K.body .. id)
  redis.call('ZADD', K.deadlines, math.min(c.now + LOST_MS, tonumber(job.deadline_ms)), id)
  local shown = used and shown_text(whole_usage(job.seen, used)) or job.seen or ''
  redis.call('HSET', K.job .. id, 'state', 'lost', 'slot_ms', slot_ms_of(c, job), 'shown', shown)
  count(c, 'lost', 1)
end

local function verdict_on(c, job)
  if not redis.call('ZSCORE', K.apis, job.api) then return 'abandoned' end
  if job.cancelled then return 'cancelled' end
  if tonumber(job.deadline_ms) <= c.now then return 'expired' end
  if job.visible then return 'lost' end
  if is_spent(job) then return 'failed' end
  return 'revoked'
end

local function queue_again(c, id, job)
  forget_attempt(id, job)
  -- It has waited long enough to be claimed once: from here on only its deadline counts.
  job.wait_until_ms = job.deadline_ms
  redis.call('HSET', K.job .. id, 'state', 'queued', 'wait_until_ms', job.wait_until_ms)
  count(c, 'revoked', 1)
  enter_queue(c, id, job)
  call_one(c, job.class)
  if job.supersedes then
    redis.call('SET', supersede_key(job, job.supersedes), id, 'NX', 'PX',
      job.deadline_ms - c.now + WORKER_TTL_MS)
  end
end

-- `error` is what the api is told if the job was tried often enough, or the client has seen a part.
-- `used` are the tokens of the attempt, where its bridge has told.
local function recover_sound(c, id, name, job, error, used)
  stopped_running(c, job)
  if job.attempt ~= name or job.state ~= 'running' then return 'gone' end
  if c.crash_cost then settle(c, job, math.max(c.crash_cost, tonumber(job.estimate)))
  else charge(c, job, job.estimate, 0) end
  local verdict = verdict_on(c, job)
  tell(job.api, id .. ':' .. name, verdict, error)
  if verdict == 'revoked' then queue_again(c, id, job)
  elseif verdict == 'lost' then keep_lost(c, id, job, used)
  else end_job(c, id, verdict, use_of_unanswered(c, job, verdict, used)) end
  return verdict
end

-- Whether the job says that it runs in an attempt that no worker has.
local function is_astray(id, name, job)
  return job.state == 'running' and job.attempt ~= name
      and not redis.call('ZSCORE', K.running .. job.worker, id .. ':' .. job.attempt)
end

-- The attempt is off its worker already. The job goes back to its old place, unless nobody waits,
-- its time is up, it was tried often enough, or the client has seen a part of the answer. Returns
-- the verdict.
local function recover(c, attempt_id, error, used)
  local id, name = split_attempt_id(attempt_id)
  local job = id and read_job(id)
  if not job then
    set_counter(c, 'recount', 1)  -- what it was counted for can't be told
    return 'gone'
  end
  local flaw = job.flaw or is_astray(id, name, job) and 'its attempt is not its own'
  if not flaw then
    return work_on(c, id, nil, attempt_id, recover_sound, c, id, name, job, error,
      used) or 'failed'
  end
  retire(c, id, flaw, nil, attempt_id)
  return 'failed'
end

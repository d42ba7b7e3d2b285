-- resume: queues what is left of a job. Its worker was lost in the middle of its answer, or Redis
-- has lost an attempt or some frames, so that the attempt it knows does not continue what the
-- client has seen.
-- KEYS[1]  the model's key prefix
-- ARGV     1 job id  2 generation: newer than that of all earlier submissions
--          3 fingerprint: only a worker that has it may go on ('': any)
--          4 estimate (cost)  5 prompt tokens  6 completion tokens (estimates of what is left)
--          7 cost of what the client has seen, over all attempts, less what the rest pays of it
--          8 what the client has seen: `Shown.text` of dispatcher/cost.py, or ''  9 body
-- Returns  {'OK', class}      queued at its old place, in this class; also for a repeated call
--          {'SPENT', n}       n workers have failed at it, or it has crashed too many: it is over
--          {'GONE', state}    unknown, over, or submitted again since then: nothing was changed. A
--                             damaged job is retired, and unknown from then on: the api enqueues
--                             what is left
-- @include call
-- @include call_one
-- @include end_job
-- @include enter_queue
-- @include forget_attempt
-- @include gone
-- @include now_ms
-- @include read_job
-- @include spent
-- @include settle
-- @include supersede_key
-- @include use
-- @include withdraw
-- @include work_on
local id, generation, fingerprint, estimate, prompt_tokens, completion_tokens = unpack(ARGV, 1, 6)
local seen_cost, seen, body = unpack(ARGV, 7, 9)
local OVER = {rejected = true, expired = true, superseded = true, dropped = true, limited = true}

-- The answer where the queue stays as it is; nil where the job goes on.
local function refusal_of(job)
  local known, newer = job and number(job.generation), tonumber(generation)
  if known == newer then return {'OK', job.class} end
  if job and job.flaw and not job.cancelled then
    retire(c, id, job.flaw)
    return {'GONE', 'unknown'}
  end
  if not job or known > newer or job.cancelled or OVER[job.state] then
    return {'GONE', job and job.state or 'unknown'}
  end
  if (job.state == 'lost' or job.state == 'failed') and is_spent(job) then
    if job.state == 'lost' then end_job(c, id, 'failed', use_shown(c, job)) end
    return {'SPENT', tonumber(job.attempts) + tonumber(job.setbacks or '0')}
  end
end

-- A worker of the same fingerprint continues the text as the lost one would have. `build=` begins
-- the last word of a class.
local function class_of(job)
  if fingerprint == '' then return job.class end
  local others = string.gsub(job.class, ',?build=.*$', '')
  if others == 'any' or others == '' then return 'build=' .. fingerprint end
  return others .. ',build=' .. fingerprint
end

local function queue_rest(job)
  c.now = now_ms()
  take_back_use(c, job)
  local slot_ms = job.state == 'running' and slot_ms_of(c, job) or number(job.slot_ms)
  withdraw(c, id, job)
  -- What was seen is served now, so that the estimate is only of what is left.
  job.estimate = 0
  settle(c, job, seen_cost - (job.seen_cost or 0))
  local class = class_of(job)
  job.place = class .. string.sub(job.place, #job.class + 1)
  job.class, job.bytes, job.wait_until_ms = class, #body, job.deadline_ms
  if job.state == 'lost' then move_gone(job.worker, 'resumed') end
  forget_attempt(id, job)
  redis.call('HSET', K.job .. id, 'state', 'queued', 'generation', generation, 'class', job.class,
    'place', job.place, 'bytes', job.bytes, 'wait_until_ms', job.wait_until_ms,
    'estimate', estimate, 'prompt_estimate', prompt_tokens,
    'completion_estimate', completion_tokens, 'seen_cost', seen_cost, 'visible', 1,
    'seen', seen, 'slot_ms', slot_ms)
  local ttl = job.deadline_ms - c.now + WORKER_TTL_MS
  redis.call('PEXPIRE', K.job .. id, ttl)
  redis.call('SET', K.body .. id, body, 'PX', ttl)
  enter_queue(c, id, job)
  call_one(c, job.class)
  count(c, 'resumed', 1)
  return {'OK', job.class}
end

return conduct(function()
  local job = read_job(id)
  return refusal_of(job) or queue_rest(job)
end)

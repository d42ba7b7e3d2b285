-- What becomes of a job whose attempt has ended without an answer; behind retiring.lua.

local MOST_RECOVERED = 500     -- attempts of one worker in one call: no script holds up the others for long

-- What becomes of an attempt that ended without an answer and was already taken off its worker:
-- back to its old place, unless nobody waits, its time is up, it was tried often enough, or the client
-- has seen a part of the answer. `error` is what the api is told in the last two cases.
local function recover_sound(id, attempt, job, now, error)
  stopped_running(job)
  if job.attempt ~= attempt or job.state ~= 'running' then return 'gone' end
  charge(job, job.estimate, 0)
  local verdict = 'revoked'
  if redis.call('ZSCORE', K.apis, job.api) == false then verdict = 'abandoned'
  elseif job.cancelled then verdict = 'cancelled'
  elseif tonumber(job.deadline_ms) <= now then verdict = 'expired'
  elseif job.visible then verdict = 'lost'
  elseif is_spent(job) then verdict = 'failed'
  end
  tell(job.api, id .. ':' .. attempt, verdict, error)
  if verdict ~= 'revoked' then
    if verdict == 'lost' then keep_lost(id, job, now) else end_job(id, verdict) end
    return verdict
  end
  forget_attempt(id, job)
  -- It has waited long enough to be claimed once: from here on only its deadline counts.
  job.wait_until_ms = job.deadline_ms
  redis.call('HSET', K.job .. id, 'state', 'queued', 'wait_until_ms', job.wait_until_ms)
  redis.call('HINCRBY', K.counters, 'revoked', 1)
  enter_queue(id, job)
  if job.supersedes then
    redis.call('SET', supersede_key(job, job.supersedes), id, 'NX', 'PX',
      digits(job.deadline_ms - now + WORKER_TTL_MS))
  end
  return verdict
end

-- Whether the job says that it runs in an attempt that no worker has.
local function is_astray(id, attempt, job)
  return job.state == 'running' and job.attempt ~= attempt
      and not redis.call('ZSCORE', K.running .. job.worker, id .. ':' .. job.attempt)
end

local function recover(token, now, error)
  local id, attempt = split_token(token)
  local job = id and read_job(id)
  if not job then
    redis.call('HSET', K.counters, 'recount', 1)  -- what it was counted for can't be told
    return 'gone'
  end
  local flaw = job.flaw or is_astray(id, attempt, job) and 'its attempt is not its own'
  if not flaw then
    return work_on(id, nil, token, recover_sound, id, attempt, job, now, error) or 'failed'
  end
  retire(id, flaw, nil, token)
  return 'failed'
end

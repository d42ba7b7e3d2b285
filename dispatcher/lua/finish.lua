-- finish: the attempt ended with an answer (or an error that is the answer); frees its slot, and
-- takes the next job for it.
-- KEYS[1]  the model's key prefix
-- ARGV     1 … 10 as of claim  11 token  12 state (done, rejected, failed or cancelled)
--          13 last frames, packed  14 prompt tokens  15 completion tokens
--          16 of the prompt's those cached  17 what they cost (dispatcher/cost.py)
-- Returns  {'OK', free slots left, again ms, job, …}  as claim, also for a call repeated with the
--                      same nonce after its reply was cut
--          {'FENCED'}  the attempt is not, or no longer, this worker's; nothing was changed
-- @include answer_with
-- @include attempts
-- @include bells
-- @include end_job
-- @include flaws
-- @lazy find_taken
-- @lazy retire
-- @include settle
-- @include stopped_running
-- @include take_jobs
-- @include work_on
local token, state, frames, prompt_tokens, completion_tokens, cached_tokens, cost =
  unpack(ARGV, 11, 17)
if not open_claim(c, unpack(ARGV, 1, 10)) then return {'FENCED'} end
local id, attempt = split_token(token)

local function is_repeated()
  local job = read_hash(K.job .. id, {'attempt', 'state'})
  return job.attempt == attempt and FINAL[job.state]
end

-- Means over about the last sixteen answers: for estimates, and for how soon a slot will be free.
local function learn(name, news)
  local mean = number(counter(c, name), tonumber(news))
  set_counter(c, name, string.format('%.3f', mean + (news - mean) / 16))
end

local function pass_on(api)
  if try('XADD', K.replies .. api, 'NOMKSTREAM', '*', token, frames) then
    redis.call('HINCRBY', K.api .. api, 'written_bytes', #frames)
    return true
  end
end

local function remember(beginnings)
  local tokens = digits(prompt_tokens + completion_tokens)
  local there = c.worker .. ' ' .. tokens .. ' ' .. (c.about.process or '')
  for beginning in string.gmatch(beginnings, '%S+') do
    redis.call('SET', K.prefix .. beginning, there, 'PX', REMEMBERED_MS)
  end
end

local function end_attempt(job)
  stopped_running(c, job)
  settle(c, job, cost)
  if state == 'done' then
    remember(job.prefix or '')
    learn('mean_service_ms', c.now - job.claimed_ms)
    learn('mean_prompt_tokens', prompt_tokens)
    learn('mean_completion_tokens', completion_tokens)
  end
  end_job(c, id, state, 'prompt_tokens', prompt_tokens, 'completion_tokens', completion_tokens,
    'cached_tokens', cached_tokens, 'cost', cost)
end

-- A flaw that is no obstacle to passing the answer on.
local function flaw_of_finished(job)
  local flaw = flaw_in(job, {'api', 'tenant', 'user', 'tier', 'place', 'class'},
    {'weight', 'estimate', 'claimed_ms'})
  if flaw then return flaw end
  if not is_placed(id, job) then return 'its place is not its own' end
end

local function finish_job()
  local job = read_hash(K.job .. id, {'api', 'tenant', 'user', 'tier', 'weight', 'estimate',
    'claimed_ms', 'prefix', 'max_tenant_running', 'place', 'class'})
  if not job.api and redis.call('EXISTS', K.job .. id) == 0 then
    return set_counter(c, 'recount', 1)
  end
  local flaw = flaw_of_finished(job)
  local is_answered = job.api and pass_on(job.api)
  if flaw then retire(c, id, flaw, nil, token, is_answered)
  else work_on(c, id, nil, token, end_attempt, job) end
end

-- Nothing waits: the bridge has room again, and listens to the bell that all share without a claim.
local function tell_of_room()
  redis.call('ZADD', K.bell_of .. c.worker, 1, 'room')
  redis.call('PEXPIRE', K.bell_of .. c.worker, WORKER_TTL_MS)
end

local function finish()
  local running = redis.call('ZCARD', K.running .. c.worker)
  local was_full = running >= c.slots
  if redis.call('ZREM', K.running .. c.worker, token) == 1 then
    running = running - 1
    if c.about.suspect == token then
      c.runs_suspect = false
      redis.call('HDEL', K.worker .. c.worker, 'suspect')
    end
    read_counters(c, 'running', 'capped', 'mean_service_ms', 'mean_prompt_tokens',
      'mean_completion_tokens', state, 'queued_bytes')
    finish_job()
  elseif is_repeated() then
    find_taken(c)
    if #c.jobs > 0 then return answer_with(c, room(c, running)) end
  else
    return {'FENCED'}
  end
  local free = take_jobs(c, running)
  -- A full bridge waits on its own bell only; and it shall come again for what is left to others.
  if was_full and free > 0 and #all_classes(c) == 0 then tell_of_room()
  elseif (was_full and free > 0) or c.again > 0 then ring_worker(c.worker) end
  return answer_with(c, free)
end

return conduct(finish)

-- finish: attempts ended with an answer (or an error that is the answer); frees their slots, and
-- takes the next jobs for them.
-- KEYS[1]  the model's key prefix
-- ARGV     1 … 11 as of claim; 12… for each attempt the values of ENDED (dispatcher/arguments.py)
-- Returns  {'OK', free slots left, again ms, {ended, …}, job, …}  as claim, also for a call that is
--                      repeated with the same nonce after its reply was cut. An attempt that has
--                      `ended` 0 is not, or no longer, this worker's: nothing was changed for it
--          {'FENCED'}  register again
-- @include answer_with
-- @include attempts
-- @include bells
-- @include flaws
-- @include held
-- @lazy call_all
-- @lazy find_taken
-- @lazy retire
-- @include is_placed
-- @include is_side
-- @include note_end
-- @include read_rows
-- @include settle
-- @include stopped_running
-- @include take_jobs
-- @include taken
-- @lazy trust_again
-- @include try
-- @include use
-- @include work_on
-- @lazy write_usage
local ended = read_rows(12, ENDED)
if not open_claim(c, unpack(ARGV, 1, 11)) then return {'FENCED'} end

local function is_repeated(attempt)
  local job = read_hash(K.job .. attempt.job_id, {'attempt', 'state'})
  return job.attempt == attempt.name and FINAL[job.state]
end

-- Takes the attempts off the worker. Returns those that were there, for each whether it is over
-- now, and whether one was over before: then the call is repeated.
local function take_off_all()
  local ids, there, verdicts, seen, was_over = {}, {}, {}, {}, false
  for i, attempt in ipairs(ended) do
    ids[i], attempt.job_id, attempt.name = attempt.id, split_attempt_id(attempt.id)
  end
  local is_held = #ids > 1 and held(c.worker, ids)
    or {redis.call('ZREM', K.running .. c.worker, ids[1]) == 1}
  for i, attempt in ipairs(ended) do
    if is_held[i] and not seen[attempt.id] then there[#there + 1] = attempt end
    seen[attempt.id] = true
    local is_over = not is_held[i] and is_repeated(attempt)
    verdicts[i], was_over = (is_held[i] or is_over) and 1 or 0, was_over or is_over
  end
  for _, attempt in ipairs(there) do
    if c.about.suspect == attempt.id then
      c.runs_suspect = false
      redis.call('HDEL', K.worker .. c.worker, 'suspect')
    end
  end
  if #ids > 1 and #there > 0 then redis.call('ZREM', K.running .. c.worker, unpack(ids)) end
  return there, verdicts, was_over
end

-- Passes the last frames on, in one entry for each api.
local function pass_on(attempts)
  local fields, bytes = {}, {}
  for _, attempt in ipairs(attempts) do
    local api = attempt.job.api
    if api then
      fields[api], bytes[api] = fields[api] or {}, (bytes[api] or 0) + #attempt.frames
      local n = #fields[api]
      fields[api][n + 1], fields[api][n + 2] = attempt.id, attempt.frames
    end
  end
  for api, pairs_ in pairs(fields) do
    if try('XADD', K.replies .. api, 'NOMKSTREAM', '*', unpack(pairs_)) then
      redis.call('HINCRBY', K.api .. api, 'written_bytes', bytes[api])
    else
      fields[api] = false
    end
  end
  for _, attempt in ipairs(attempts) do attempt.is_answered = fields[attempt.job.api] end
end

-- Means over about the last sixteen answers: for estimates, and for how soon a slot will be free.
local MEANS = {'mean_service_ms', 'mean_prompt_tokens', 'mean_completion_tokens'}

local function learn(name, news)
  local mean = number(counter(c, name), tonumber(news))
  set_counter(c, name, mean + (news - mean) / 16)
end

local function round_means()
  for _, name in ipairs(MEANS) do
    if c.changed[name] then set_counter(c, name, string.format('%.3f', c.known[name])) end
  end
end

local function remember(beginnings, prompt_tokens, completion_tokens)
  local tokens = prompt_tokens .. ' ' .. completion_tokens
  local there = c.worker .. ' ' .. tokens .. ' ' .. (c.about.process or '')
  for beginning in string.gmatch(beginnings, '%S+') do
    redis.call('SET', K.prefix .. beginning, there, 'PX', REMEMBERED_MS)
  end
end

-- Counts what the attempt used. What needs no slot uses no tokens.
local function use_of(attempt)
  local job, last = attempt.job, {prompt = 0, cached = 0, completion = 0}
  if not is_side(job.class or '') then
    last = {prompt = number(attempt.prompt_tokens), cached = number(attempt.cached_tokens),
      completion = number(attempt.completion_tokens)}
  end
  return use(c, job, whole_usage(job.seen, last), slot_ms_of(c, job))
end

-- What needs no slot is charged by its bytes, and tells nothing of answers.
local function end_attempt(attempt)
  local job, prompt, completion = attempt.job, attempt.prompt_tokens, attempt.completion_tokens
  local needs_slot = not is_side(job.class)
  local cost = needs_slot and attempt.cost or job.estimate
  stopped_running(c, job)
  settle(c, job, cost)
  if needs_slot and attempt.state == 'done' then
    if number(counter(c, 'suspected_until_ms')) > c.now then trust_again(c, job) end
    remember(job.prefix or '', prompt, completion)
    learn('mean_service_ms', c.now - job.claimed_ms)
    if tonumber(completion) > 0 then  -- a text, and no embeddings
      learn('mean_prompt_tokens', prompt)
      learn('mean_completion_tokens', completion)
    end
  end
  note_end(c, attempt.job_id, attempt.state, 'prompt_tokens', prompt,
    'completion_tokens', completion, 'cached_tokens', attempt.cached_tokens, 'cost', cost,
    use_of(attempt))
end

-- The fields of a job that its end needs.
local FINISHED = {'api', 'tenant', 'user', 'tier', 'weight', 'estimate', 'claimed_ms', 'prefix',
  'max_tenant_running', 'place', 'class', 'seen', 'slot_ms', 'part'}
local TEXTS_FINISHED = {'api', 'tenant', 'user', 'tier', 'place', 'class'}
local NUMBERS_FINISHED = {'weight', 'estimate', 'claimed_ms'}

-- What is wrong with a job whose answer is passed on all the same; nil where nothing is.
local function flaw_of_finished(id, job)
  local flaw = flaw_in(job, TEXTS_FINISHED, NUMBERS_FINISHED)
  if flaw then return flaw end
  if not is_placed(id, job) then return 'its place is not its own' end
end

local function finish_job(attempt)
  local id, job = attempt.job_id, attempt.job
  if not job.api and redis.call('EXISTS', K.job .. id) == 0 then
    return set_counter(c, 'recount', 1)
  end
  local flaw = flaw_of_finished(id, job)
  if flaw then
    use_of(attempt)  -- it was answered all the same
    retire(c, id, flaw, nil, attempt.id, attempt.is_answered)
  else work_on(c, id, nil, attempt.id, end_attempt, attempt) end
end

-- Nobody runs these jobs again.
local function forget_bodies(attempts)
  local jobs, bodies = {}, {}
  for i, attempt in ipairs(attempts) do
    jobs[i], bodies[i] = attempt.job_id, K.body .. attempt.job_id
  end
  redis.call('DEL', unpack(bodies))
  try('ZREM', K.deadlines, unpack(jobs))
end

local function finish_all(attempts)
  if #attempts == 0 then return end
  read_counters(c, 'running', 'capped', 'mean_service_ms', 'mean_prompt_tokens',
    'mean_completion_tokens', 'done', 'queued_bytes', 'parked', 'suspected_until_ms')
  for _, attempt in ipairs(attempts) do
    attempt.job = read_hash(K.job .. attempt.job_id, FINISHED)
  end
  pass_on(attempts)
  forget_bodies(attempts)
  for _, attempt in ipairs(attempts) do finish_job(attempt) end
  round_means()
  if c.used then write_usage(c) end  -- before it takes jobs: their tenants may have used enough
end

-- Tells the bridge what it has room for again. Nothing waits: it listens to that bell without a
-- claim.
local function tell_of(what)
  redis.call('ZADD', K.bell_of .. c.worker, 1, what)
  redis.call('PEXPIRE', K.bell_of .. c.worker, WORKER_TTL_MS)
end

-- How many of these attempts took a slot, and how many none. One that can't be read may have.
local function places_of(attempts)
  local sides = 0
  for _, attempt in ipairs(attempts) do
    if is_side(attempt.job.class or '') then sides = sides + 1 end
  end
  return #attempts - sides, sides
end

local function finish()
  local there, verdicts, was_over = take_off_all()
  local running = slots_taken(c.worker)
  if #there == 0 and not was_over then return {'OK', room(c, running), '0', verdicts} end
  finish_all(there)
  local slots_left, sides_left = places_of(there)
  local was_full = running + slots_left >= c.slots
  local had_no_side_room = sides_left > 0 and side_room(c) <= sides_left
  c.most = math.min(c.most, MOST_CLAIMED - #there)  -- it has done some work already
  if was_over then find_taken(c) end
  if #c.jobs > 0 then return answer_with(c, room(c, running), verdicts) end
  local free, is_filled = take_jobs(c, running)
  -- It took its part, not all.
  if is_filled and free > 0 and #c.jobs > 0 then call_all(c, false) end
  -- A bridge that was full hears only its own bell. It also comes again for what is left to others.
  if was_full and free > 0 and #all_classes(c) == 0 then tell_of('room')
  elseif (was_full and free > 0) or c.again > 0 then ring_worker(c.worker) end
  if had_no_side_room and side_room(c) > 0 then tell_of('side_room') end
  return answer_with(c, free, verdicts)
end

return conduct(finish)

-- finish: the attempt ended with an answer (or an error that is the answer); frees its slot, and takes
-- the next job for it.
-- KEYS[1]  the model's key prefix
-- ARGV     as of claim; behind them
--          token, state (done, rejected, failed or cancelled), last frames, packed, prompt tokens,
--          completion tokens, of the prompt's those cached, what they cost (dispatcher/cost.py)
-- Returns  {'OK', free slots left, again ms, job, …}  as claim, also for a call repeated with the same
--                      nonce after its reply was cut
--          {'FENCED'}  the attempt is not, or no longer, this worker's; nothing was changed
local MEANS = {'mean_service_ms', 'mean_prompt_tokens', 'mean_completion_tokens'}
local REMEMBERED_MS = 1800000  -- so long a worker is taken to have a conversation in its cache

local first = 12 + #faster
local token, state, frames, prompt_tokens, completion_tokens, cached_tokens, cost =
  unpack(ARGV, first, first + 6)
local id, attempt = split_token(token)
if is_fenced then return {'FENCED'} end

local function is_repeated()
  local job = fields_of(K.job .. id, 'attempt', 'state')
  return job[1] == attempt and FINAL[job[2]]
end

-- Means over about the last sixteen answers: for estimates, and for how soon a slot will be free.
local function learn(job, found)
  local means, news = {}, {mean_service_ms = now - job.claimed_ms,
    mean_prompt_tokens = prompt_tokens, mean_completion_tokens = completion_tokens}
  for i, name in ipairs(MEANS) do
    local mean = number(found[i], tonumber(news[name]))
    means[#means + 1], means[#means + 2] = name,
      string.format('%.3f', mean + (news[name] - mean) / 16)
  end
  redis.call('HSET', K.counters, unpack(means))
end

local function pass_on(api)
  if try('XADD', K.replies .. api, 'NOMKSTREAM', '*', token, frames) then
    redis.call('HINCRBY', K.api .. api, 'written_bytes', #frames)
    return true
  end
end

local function finish(job)
  stopped_running(job)
  settle(job, cost)
  if state == 'done' then
    local there = worker .. ' ' .. digits(prompt_tokens + completion_tokens) .. ' ' .. (about[4] or '')
    for beginning in string.gmatch(job.prefix or '', '%S+') do
      redis.call('SET', K.prefix .. beginning, there, 'PX', REMEMBERED_MS)
    end
    learn(job, fields_of(K.counters, unpack(MEANS)))
  end
  end_job(id, state, 'prompt_tokens', prompt_tokens, 'completion_tokens', completion_tokens,
    'cached_tokens', cached_tokens, 'cost', cost)
end

-- Nothing waits: the bridge has room again, and listens to the bell that all share without a claim.
local function tell_of_room()
  redis.call('ZADD', K.bell_of .. worker, 1, 'room')
  redis.call('PEXPIRE', K.bell_of .. worker, WORKER_TTL_MS)
end

local running = redis.call('ZCARD', K.running .. worker)
local was_full = running >= slots
if take_off(worker, token) then
  running, runs_suspect = running - 1, runs_suspect and about[6] ~= token
  local job = read_fields(id, 'api', 'tenant', 'user', 'tier', 'weight', 'estimate', 'claimed_ms', 'prefix',
    'max_tenant_running', 'place', 'class')
  local is_there = job.api or redis.call('EXISTS', K.job .. id) == 1
  local flaw = is_there and flaw_in(job, {'api', 'tenant', 'user', 'tier', 'place', 'class'},
    {'weight', 'estimate', 'claimed_ms'})
  if is_there and not flaw and not is_placed(id, job) then flaw = 'its place is not its own' end
  local is_answered = job.api and pass_on(job.api)
  if flaw then retire(id, flaw, nil, token, is_answered)
  elseif is_there then work_on(id, nil, token, finish, job)
  else redis.call('HSET', K.counters, 'recount', 1) end
elseif is_repeated() then
  find_taken()
  if #jobs > 0 then return answer_with(room(running), '0') end
else
  return {'FENCED'}
end
local free = take_jobs(running)
-- A full bridge waits on its own bell only; and it shall come again for what is left to others now.
if was_full and free > 0 and #all_classes() == 0 then tell_of_room()
elseif (was_full and free > 0) or again > 0 then ring_worker(worker) end
return answer_with(free, digits(again))

-- enqueue: puts jobs into the queue, each once.
-- KEYS[1]  the model's key prefix
-- ARGV     1 api that waits for them  2 max attempts  3 max crashes  4 queue bound, jobs
--          5 queue bound, bytes  6, 7 a tenant's bounds on queued and on running jobs (0: none)
--          8… for each job the values of QUEUED_JOB (dispatcher/arguments.py)
-- Returns  {verdict, …}, one for each job:
--          {'OK', position, n}    queued; position 1 is the next of its tenant and all others; the
--                                 tenant has n jobs in the queue
--          {'KNOWN', state}       a job of this id and generation exists, or it was cancelled:
--                                 nothing changed
--          {'STALE', generation}  a newer submission was here before: nothing changed
--          {'LATE', now ms}       it is later than its latest ms: nothing changed
--          {'UNKNOWN_API'}        the api has no reply stream: send api_heartbeat first
--          {'FULL', jobs, bytes}  over a bound of the model
--          {'TENANT_FULL', jobs}  over the tenant's
--          {'FAILED', fault}      something that Redis holds is damaged: cancel the job
-- An older generation is withdrawn. A bound refuses only the first: the later ones were admitted
-- already, and so were the later pieces of a request.
-- @include call
-- @include call_for
-- @include enter_queue
-- @include entering
-- @include find_preferred
-- @include is_side
-- @include now_ms
-- @include raise_refusal
-- @include read_rows
-- @include supersede_key
-- @lazy end_queued
-- @lazy make_room
-- @lazy read_job
-- @include use
-- @lazy retire
-- @lazy withdraw
-- @lazy write_entries
local api, max_attempts, max_crashes, max_jobs, max_bytes, max_tenant_jobs, max_tenant_running =
  unpack(ARGV, 1, 7)
local asked = read_rows(8, QUEUED_JOB)
c.now, c.processes = now_ms(), {}

-- The answer where a submission is known that is as new, or newer; else nil.
local function answer_of_known(older, ask)
  local known, newer = number(older.generation), tonumber(ask.generation)
  if known == newer or older.cancelled then return {'KNOWN', older.state or 'failed'} end
  if known > newer then return {'STALE', known} end
end

-- The queued job of the key that a job supersedes.
local function find_rival(ask)
  local rival = ask.supersedes ~= '' and redis.call('GET', supersede_key(ask, ask.supersedes))
  if not rival or rival == ask.id then return nil end
  local replaced = read_job(rival)
  if not replaced or replaced.flaw or replaced.state ~= 'queued' then return nil end
  replaced.id = rival
  return replaced
end

-- Whether somebody has enough more in the queue that it may have to give some of it up. A tenant
-- that comes again and again to a queue full of its own jobs is to cost little.
local function has_less(ask, own, jobs_over, bytes_over)
  local function most_of(key) return number(redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2]) end
  if own == 0 then return true end
  if jobs_over > 0 and most_of(K.waiting) <= own + 1 then return false end
  if bytes_over <= 0 then return true end
  local own_bytes = number(redis.call('ZSCORE', K.waiting_bytes, ask.tenant))
  return most_of(K.waiting_bytes) > own_bytes + #ask.body
end

-- Makes room where there is none but that of the replaced job. Returns the answer where it can't.
local function refuse_if_full(ask, replaced)
  local places, freed = replaced and 1 or 0, replaced and replaced.bytes or 0
  local jobs = queued(c)
  local bytes = jobs == 0 and 0 or counted(c, 'queued_bytes')
  local jobs_over = jobs - places + 1 - max_jobs
  local bytes_over = jobs > places and bytes - freed + #ask.body - max_bytes or 0
  local most = tonumber(max_tenant_jobs)
  if jobs_over <= 0 and bytes_over <= 0 and most == 0 then return nil end
  if c.entering then write_entries(c) end
  local own = number(redis.call('ZSCORE', K.waiting, ask.tenant))
  if jobs_over > 0 or bytes_over > 0 then
    if not has_less(ask, own, jobs_over, bytes_over)
        or not make_room(c, ask, own, jobs_over, bytes_over) then
      return {'FULL', jobs, bytes}
    end
  end
  if most > 0 and own - places >= most then return {'TENANT_FULL', own} end
end

-- The job as it stands in Redis.
local function job_of_ask(ask, sequence)
  local job = {
    api = api, tenant = ask.tenant, user = ask.user, tier = ask.tier, weight = ask.weight,
    class = ask.needs, generation = ask.generation, bytes = #ask.body,
    supersedes = ask.supersedes ~= '' and ask.supersedes or nil,
    wait_until_ms = c.now + math.min(ask.wait_ms, ask.deadline_ms),
    place = table.concat({ask.needs, ask.tier, ask.tenant, ask.user,
      string.format('%014.0f', sequence), ask.id}, '|'),
  }
  if not is_side(job.class) then
    job.prefers, job.cached_there = find_preferred(c, job.class, ask.beginnings)
  end
  return job
end

local function write_job(ask, job, ttl)
  local key, traced = K.job .. ask.id, ask.trace ~= '' and {'trace', ask.trace} or {}
  redis.call('HSET', key, 'state', 'queued', 'generation', job.generation, 'protocol', PROTOCOL,
    'api', api, 'tenant', job.tenant, 'user', job.user, 'tier', job.tier, 'weight', job.weight,
    'class', job.class, 'path', ask.path, 'wants', ask.wants, 'estimate', ask.estimate,
    'prompt_estimate', ask.prompt_tokens, 'completion_estimate', ask.completion_tokens,
    'place', job.place, 'bytes', job.bytes, 'enqueued_ms', c.now,
    'wait_until_ms', job.wait_until_ms, 'deadline_ms', c.now + ask.deadline_ms,
    'attempts', 0, 'max_attempts', max_attempts, 'crashes', 0, 'max_crashes', max_crashes,
    'max_tenant_running', is_side(job.class) and 0 or max_tenant_running, 'prefix', ask.remembered,
    unpack(traced))
  if ask.seen_cost ~= '' then
    redis.call('HSET', key, 'visible', 1, 'seen_cost', ask.seen_cost, 'seen', ask.seen)
  end
  if ask.part ~= '' then redis.call('HSET', key, 'part', ask.part) end
  if ask.form ~= '' then redis.call('HSET', key, 'form', ask.form) end
  if ask.quota ~= '' then redis.call('HSET', key, 'quota', ask.quota) end
  if job.supersedes then redis.call('HSET', key, 'supersedes', job.supersedes) end
  if job.prefers then
    redis.call('HSET', key, 'prefers', job.prefers, 'cached_there', job.cached_there)
  end
  redis.call('PEXPIRE', key, ttl)
  redis.call('SET', K.body .. ask.id, ask.body, 'PX', ttl)
end

local function note_elsewhere(id, job, sequence, ttl)
  if job.supersedes then
    redis.call('SET', supersede_key(job, job.supersedes), id, 'PX', ttl)
  end
  if job.prefers then
    redis.call('ZADD', K.prefers .. job.prefers, sequence, job.place)
    redis.call('PEXPIRE', K.prefers .. job.prefers, ttl)
  end
end

-- Whether the api has a reply stream.
local function is_known_api()
  if c.is_known_api == nil then c.is_known_api = redis.call('ZSCORE', K.apis, api) end
  return c.is_known_api
end

local function enqueue(ask)
  local id = ask.id
  local older = not c.are_all_new and redis.call('EXISTS', K.job .. id) == 1 and read_job(id)
  local answer = older and answer_of_known(older, ask)
  if answer then return answer end
  if c.now > tonumber(ask.latest_ms) then return {'LATE', digits(c.now)} end
  if not is_known_api() then return {'UNKNOWN_API'} end
  local replaced = find_rival(ask)
  local is_admitted = tonumber(ask.generation) > 1 or ask.is_admitted == '1'
  answer = not is_admitted and refuse_if_full(ask, replaced)
  if answer then return answer end
  if c.entering and (older or replaced) then write_entries(c) end
  if replaced then end_queued(c, replaced.id, replaced, 'superseded') end
  if older and older.flaw then retire(c, id, older.flaw)
  elseif older then withdraw(c, id, older) end
  if older then
    take_back_use(c, older)
    redis.call('DEL', K.job .. id)
  end

  count(c, 'sequence', 1)
  count(c, 'enqueued', 1)
  local sequence, ttl = counted(c, 'sequence'), ask.deadline_ms + WORKER_TTL_MS
  local job = job_of_ask(ask, sequence)
  write_job(ask, job, ttl)
  note_elsewhere(id, job, sequence, ttl)
  local of_tenant = enter_queue(c, id, job)
  call_for(c, job)
  return {'OK', queued(c), of_tenant}
end

-- Each job has its own verdict.
local function enqueue_or_fail(ask)
  local is_well, answer = pcall(enqueue, ask)
  if is_well then return answer end
  if c.entering then write_entries(c) end
  raise_refusal(answer)
  set_counter(c, 'recount', 1)
  return {'FAILED', type(answer) == 'table' and answer.err or tostring(answer)}
end

-- Whether Redis knows none of the jobs, and none is there twice.
local function are_all_new()
  local keys, seen = {}, {}
  for i, ask in ipairs(asked) do
    if seen[ask.id] then return false end
    seen[ask.id], keys[i] = true, K.job .. ask.id
  end
  return redis.call('EXISTS', unpack(keys)) == 0
end

return conduct(function()
  c.are_all_new = are_all_new()
  read_counters(c, 'sequence', 'queued_bytes', 'enqueued', 'parked', 'speeds_differ')
  local verdicts = {}
  if #asked > 1 then begin_entering(c, {}) end
  for i, ask in ipairs(asked) do verdicts[i] = enqueue_or_fail(ask) end
  if c.entering then write_entries(c) end
  return verdicts
end)

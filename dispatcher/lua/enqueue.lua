-- enqueue: puts a job into the queue, once.
-- KEYS[1]  the model's key prefix
-- ARGV     1 job id  2 generation: how often the api has submitted the job, this time included
--          3 latest ms: after this time of Redis' clock it does nothing
--          4 api that waits for it   5 tenant               6 user ('-': none)
--          7 tier                 8 weight of the tenant    9 class (what it needs of its worker)
--          10 wants (flags)       11 estimate (cost)        12, 13 estimated prompt and completion
--          tokens
--          14 wait ms: longest time in the queue            15 deadline ms: longest time in all
--          16 max attempts        17 max crashes
--          18 queue bound, jobs   19 queue bound, bytes
--          20, 21 tenant's bounds on queued and on running jobs (0: none)
--          22 key it supersedes ('': none)
--          23 beginnings by which a worker is to remember it, parted by blanks
--          24 cost of what its client has seen before Redis forgot it ('': it has not begun)
--          25 path of the request  26 body  27… beginnings of the conversation, the longest first
-- Returns  {'OK', position, n}    queued; position 1 is the next of its tenant and all others; the
--                                 tenant has n jobs in the queue
--          {'KNOWN', state}       a job of this id and generation exists, or it was cancelled:
--                                 nothing changed
--          {'STALE', generation}  a newer submission was here before: nothing changed
--          {'LATE', now ms}       it is later than latest ms: nothing changed
--          {'UNKNOWN_API'}        the api has no reply stream: send api_heartbeat first
--          {'FULL', jobs, bytes}  over a bound of the model
--          {'TENANT_FULL', jobs}  over the tenant's
-- An older generation is withdrawn. A bound refuses only the first: the later ones were admitted
-- already.
-- @include call
-- @include enter_queue
-- @include find_preferred
-- @include slots
-- @lazy find_fastest
-- @include now_ms
-- @include supersede_key
-- @lazy end_queued
-- @lazy make_room
-- @lazy read_job
-- @lazy retire
-- @lazy withdraw
local id, generation, latest_ms, api, tenant, user, tier, weight, class, wants, estimate,
  prompt_tokens, completion_tokens, wait_ms, deadline_ms, max_attempts, max_crashes, max_jobs,
  max_bytes, max_tenant_jobs, max_tenant_running, supersedes, remembered, seen_cost, path, body =
  unpack(ARGV, 1, 26)
local job = {
  api = api, tenant = tenant, user = user, tier = tier, weight = weight, class = class,
  bytes = digits(#body), supersedes = supersedes ~= '' and supersedes or nil,
  generation = generation,
}
c.now = now_ms()

-- What is answered where a submission of the job is known that counts as much, or more.
local function answer_of_known(older)
  local known, newer = number(older.generation), tonumber(generation)
  if known == newer or older.cancelled then return {'KNOWN', older.state or 'failed'} end
  if known > newer then return {'STALE', known} end
end

-- The queued job of the key that it supersedes.
local function find_rival()
  local rival = job.supersedes and redis.call('GET', supersede_key(job, job.supersedes))
  if not rival or rival == id then return nil end
  local replaced = read_job(rival)
  if not replaced or replaced.flaw or replaced.state ~= 'queued' then return nil end
  replaced.id = rival
  return replaced
end

-- What is answered where there is no room, besides that of the job that it replaces; makes room.
local function refuse_if_full(replaced)
  local places, freed = replaced and 1 or 0, replaced and replaced.bytes or 0
  local jobs = queued(c)
  local bytes = jobs == 0 and 0 or counted(c, 'queued_bytes')
  local jobs_over = jobs - places + 1 - max_jobs
  local bytes_over = jobs > places and bytes - freed + #body - max_bytes or 0
  local most = tonumber(max_tenant_jobs)
  if jobs_over <= 0 and bytes_over <= 0 and most == 0 then return nil end
  local own = number(redis.call('ZSCORE', K.waiting, tenant))
  if jobs_over > 0 or bytes_over > 0 then
    if own > 0 or not make_room(c, jobs_over, bytes_over) then return {'FULL', jobs, bytes} end
  end
  if most > 0 and own - places >= most then return {'TENANT_FULL', own} end
end

local function write_job(sequence, ttl)
  job.wait_until_ms = digits(c.now + math.min(wait_ms, deadline_ms))
  job.place = table.concat({class, tier, tenant, user, string.format('%014.0f', sequence), id}, '|')
  local fields = {'state', 'queued', 'generation', generation, 'protocol', PROTOCOL, 'api', api,
    'tenant', tenant, 'user', user, 'tier', tier, 'weight', weight, 'class', class,
    'path', path, 'wants', wants, 'estimate', estimate, 'prompt_estimate', prompt_tokens,
    'completion_estimate', completion_tokens, 'place', job.place, 'bytes', job.bytes,
    'enqueued_ms', digits(c.now), 'wait_until_ms', job.wait_until_ms,
    'deadline_ms', digits(c.now + deadline_ms), 'attempts', 0, 'max_attempts', max_attempts,
    'crashes', 0, 'max_crashes', max_crashes, 'max_tenant_running', max_tenant_running,
    'prefix', remembered}
  local function add(...)
    for _, value in ipairs({...}) do fields[#fields + 1] = value end
  end
  if seen_cost ~= '' then add('visible', 1, 'seen_cost', seen_cost) end
  if job.supersedes then add('supersedes', job.supersedes) end
  if job.prefers then add('prefers', job.prefers, 'cached_there', job.cached_there) end
  redis.call('HSET', K.job .. id, unpack(fields))
  redis.call('PEXPIRE', K.job .. id, ttl)
  redis.call('SET', K.body .. id, body, 'PX', ttl)
end

local function note_elsewhere(sequence, ttl)
  if job.supersedes then
    redis.call('SET', supersede_key(job, job.supersedes), id, 'PX', ttl)
  end
  if job.prefers then
    redis.call('ZADD', K.prefers .. job.prefers, sequence, job.place)
    redis.call('PEXPIRE', K.prefers .. job.prefers, ttl)
  end
end

-- The bell that all share is heard first by who has waited longest. Where that is a slow worker it
-- would only call a faster one, so that is called too.
local function call_for(preferred)
  local called = preferred and free_slots(preferred) > 0 and preferred
  if not called and counted(c, 'speeds_differ') > 0 then called = find_fastest(class) end
  if called then ring_worker(called) end
end

local function enqueue()
  local older = redis.call('EXISTS', K.job .. id) == 1 and read_job(id)
  local answer = older and answer_of_known(older)
  if answer then return answer end
  if c.now > tonumber(latest_ms) then return {'LATE', digits(c.now)} end
  if not redis.call('ZSCORE', K.apis, api) then return {'UNKNOWN_API'} end
  read_counters(c, 'sequence', 'queued_bytes', 'enqueued', 'parked', 'speeds_differ')
  local replaced = find_rival()
  answer = tonumber(generation) == 1 and refuse_if_full(replaced)
  if answer then return answer end
  if replaced then end_queued(c, replaced.id, replaced, 'superseded') end
  if older and older.flaw then retire(c, id, older.flaw)
  elseif older then withdraw(c, id, older) end
  if older then redis.call('DEL', K.job .. id) end

  count(c, 'sequence', 1)
  count(c, 'enqueued', 1)
  local sequence, ttl = counted(c, 'sequence'), digits(deadline_ms + WORKER_TTL_MS)
  job.prefers, job.cached_there = find_preferred(class, 27)
  write_job(sequence, ttl)
  note_elsewhere(sequence, ttl)
  local of_tenant = enter_queue(c, id, job)
  call_for(job.prefers)
  return {'OK', queued(c), of_tenant}
end

return conduct(enqueue)

-- enqueue: put a job into the queue, once.
-- KEYS[1]  the model's key prefix
-- ARGV     1 job id               2 generation: how often the api has submitted the job, this time included
--          3 latest ms: after this time of Redis' clock it does nothing
--          4 api that waits for it   5 tenant               6 user ('-': none)
--          7 tier                 8 weight of the tenant    9 class (what it needs of its worker)
--          10 wants (flags)       11 estimate (cost)        12 prompt tokens  13 completion tokens (estimates)
--          14 wait ms: longest time in the queue            15 deadline ms: longest time in all
--          16 max attempts        17 max crashes
--          18 queue bound, jobs   19 queue bound, bytes     20 tenant's bound on queued jobs (0: none)
--          21 tenant's bound on running jobs (0: none)      22 key it supersedes ('': none)
--          23 beginnings by which a worker is to remember it, parted by blanks
--          24 cost of what its client has seen before Redis forgot it ('': it has not begun)
--          25 path of the request  26 body  27… beginnings of the conversation, the longest first
-- Returns  {'OK', position, n}    queued; position 1 is the next of its tenant and all others; the tenant
--                                 has n jobs in the queue
--          {'KNOWN', state}       a job of this id and generation exists, or it was cancelled: nothing changed
--          {'STALE', generation}  a newer submission was here before: nothing changed
--          {'LATE', now ms}       it is later than latest ms: nothing changed
--          {'UNKNOWN_API'}        the api has no reply stream: send api_heartbeat first
--          {'FULL', jobs, bytes}  over a bound of the model
--          {'TENANT_FULL', jobs}  over the tenant's
-- An older generation is withdrawn. A bound refuses only the first: the later ones were admitted already.
local id, generation, api, body, now = ARGV[1], tonumber(ARGV[2]), ARGV[4], ARGV[26], now_ms()
local older = read_job(id)
if older then
  local known = number(older.generation)
  if known == generation or older.cancelled then return {'KNOWN', older.state or 'failed'} end
  if known > generation then return {'STALE', known} end
end
if now > tonumber(ARGV[3]) then return {'LATE', digits(now)} end
if not redis.call('ZSCORE', K.apis, api) then return {'UNKNOWN_API'} end

local job = {
  api = api, tenant = ARGV[5], user = ARGV[6], tier = ARGV[7], weight = ARGV[8], class = ARGV[9],
  bytes = digits(#body), supersedes = ARGV[22] ~= '' and ARGV[22] or nil, generation = ARGV[2],
}

local replaced, rival = nil, job.supersedes and redis.call('GET', supersede_key(job, job.supersedes))
if rival and rival ~= id then
  replaced = read_job(rival)
  if replaced and (replaced.flaw or replaced.state ~= 'queued') then replaced = nil end
end
local places, weight = replaced and 1 or 0, replaced and replaced.bytes or 0  -- that it makes room for

local jobs = redis.call('ZCARD', K.queue)
if jobs == 0 then redis.call('HSET', K.counters, 'queued_bytes', 0) end
local bytes = number(redis.call('HGET', K.counters, 'queued_bytes'))
local mine = number(redis.call('ZSCORE', K.waiting, job.tenant))
if generation == 1 then
  local jobs_over = jobs - places + 1 - tonumber(ARGV[18])
  local bytes_over = jobs > places and bytes - weight + #body - tonumber(ARGV[19]) or 0
  if jobs_over > 0 or bytes_over > 0 then
    local dropped = mine == 0 and make_room(jobs_over, bytes_over)
    if not dropped then return {'FULL', jobs, bytes} end
    jobs = jobs - dropped
  end
  local most = tonumber(ARGV[20])
  if most > 0 and mine - places >= most then return {'TENANT_FULL', mine} end
end
if replaced then end_queued(rival, replaced, 'superseded') end
if older and older.flaw then retire(id, older.flaw)
elseif older then withdraw(id, older) end

local BEGINNINGS = 100         -- of a conversation that are looked for, at most

-- The worker that has the longest known beginning of the conversation in its cache, and still runs.
local function find_preferred()
  if #ARGV < 27 then return nil end
  local names = {}
  for i = 27, math.min(#ARGV, 26 + BEGINNINGS) do names[#names + 1] = K.prefix .. ARGV[i] end
  for _, found in ipairs(redis.call('MGET', unpack(names))) do
    local worker, tokens, process = string.match(found or '', '^(%S+) (%d+) (.*)$')
    if worker and fields_of(K.worker .. worker, 'process')[1] == process
        and can_take(job.class, worker) then
      return worker, tokens
    end
  end
end

local ASKED = 8                -- workers of a fleet that are looked at
local NOTICEABLY = 1.25        -- as in dispatcher/patience.py

-- Of those with room that are about as fast as any with room the one with most of its slots free; nil where
-- all are as fast, or many. One that is not measured yet is tried at once.
local function find_fastest()
  if redis.call('HLEN', K.speeds) > ASKED then return nil end
  local rows, workers, least, most = redis.call('HGETALL', K.speeds), {}, math.huge, 0
  for i = 1, #rows, 2 do
    local slots, tps = string.match(rows[i + 1], '^(%S+) %S+ (%S+)$')
    local speed = number(tps) > 0 and number(tps) or math.huge
    workers[#workers + 1] = {rows[i], number(slots), speed}
    least, most = math.min(least, speed), math.max(most, speed)
  end
  if most <= NOTICEABLY * least then return nil end
  local best, fastest, best_part = 0, nil, 0
  for _, about in ipairs(workers) do
    local worker, slots, speed = unpack(about)
    local part = can_take(job.class, worker) and slots > 0 and free_slots(worker) / slots or 0
    local is_faster, is_as_fast = speed > NOTICEABLY * best, speed * NOTICEABLY >= best
    if part > 0 and (is_faster or (is_as_fast and part > best_part)) then
      fastest, best_part, best = worker, part, math.max(best, speed)
    end
  end
  return fastest
end

-- The bell that all share is heard first by who has waited longest. Where that is a slow worker it would only
-- call a faster one, so that is called too.
local function call_for(preferred)
  local called = preferred and free_slots(preferred) > 0 and preferred or find_fastest()
  if called then ring_worker(called) end
end

local sequence = redis.call('HINCRBY', K.counters, 'sequence', 1)
job.wait_until_ms = digits(now + math.min(ARGV[14], ARGV[15]))
job.place = table.concat({job.class, job.tier, job.tenant, job.user,
  string.format('%014.0f', sequence), id}, '|')
local ttl = digits(tonumber(ARGV[15]) + WORKER_TTL_MS)
redis.call('DEL', K.job .. id)
redis.call('HSET', K.job .. id,
  'state', 'queued', 'generation', job.generation, 'api', api, 'tenant', job.tenant, 'user', job.user,
  'tier', job.tier, 'weight', job.weight, 'class', job.class, 'path', ARGV[25], 'wants', ARGV[10],
  'estimate', ARGV[11],
  'prompt_estimate', ARGV[12], 'completion_estimate', ARGV[13],
  'place', job.place, 'bytes', job.bytes, 'enqueued_ms', digits(now),
  'wait_until_ms', job.wait_until_ms, 'deadline_ms', digits(now + tonumber(ARGV[15])),
  'attempts', 0, 'max_attempts', ARGV[16], 'crashes', 0, 'max_crashes', ARGV[17],
  'max_tenant_running', ARGV[21], 'prefix', ARGV[23])
if ARGV[24] ~= '' then redis.call('HSET', K.job .. id, 'visible', 1, 'seen_cost', ARGV[24]) end
redis.call('PEXPIRE', K.job .. id, ttl)
redis.call('SET', K.body .. id, body, 'PX', ttl)
if job.supersedes then
  redis.call('HSET', K.job .. id, 'supersedes', job.supersedes)
  redis.call('SET', supersede_key(job, job.supersedes), id, 'PX', ttl)
end
enter_queue(id, job)

local preferred, tokens = find_preferred()
if preferred then
  redis.call('HSET', K.job .. id, 'prefers', preferred, 'cached_there', tokens)
  redis.call('ZADD', K.prefers .. preferred, sequence, job.place)
  redis.call('PEXPIRE', K.prefers .. preferred, ttl)
end
call_for(preferred)
redis.call('HINCRBY', K.counters, 'enqueued', 1)
return {'OK', jobs - places + 1, mine - places + 1}

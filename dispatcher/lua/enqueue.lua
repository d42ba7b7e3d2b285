-- enqueue: put a job into the queue, once.
-- KEYS[1]  the model's key prefix
-- ARGV     1 job id               2 api that waits for it   3 tenant          4 user ('-': none)
--          5 tier                 6 weight of the tenant    7 class (what it needs of its worker)
--          8 wants (flags)        9 estimate (cost)         10 prompt tokens  11 completion tokens (estimates)
--          12 wait ms: longest time in the queue            13 deadline ms: longest time in all
--          14 max attempts        15 max crashes
--          16 queue bound, jobs   17 queue bound, bytes     18 tenant's bound on queued jobs (0: none)
--          19 tenant's bound on running jobs (0: none)      20 key it supersedes ('': none)
--          21 beginnings by which a worker is to remember it, parted by blanks
--          22 cost of what its client has seen before Redis forgot it ('': it has not begun)
--          23 body                24… beginnings of the conversation, the longest first
-- Returns  {'OK', position, n}    queued; position 1 is the next of its tenant and all others; the tenant
--                                 has n jobs in the queue
--          {'KNOWN', state}       a job of this id exists: a repeated call changes nothing
--          {'UNKNOWN_API'}        the api has no reply stream: send api_heartbeat first
--          {'FULL', jobs, bytes}  over a bound of the model
--          {'TENANT_FULL', jobs}  over the tenant's
local id, api, body = ARGV[1], ARGV[2], ARGV[23]
local state = redis.call('HGET', K.job .. id, 'state')
if state then return {'KNOWN', state} end
if not redis.call('ZSCORE', K.apis, api) then return {'UNKNOWN_API'} end

local job = {
  api = api, tenant = ARGV[3], user = ARGV[4], tier = ARGV[5], weight = ARGV[6], class = ARGV[7],
  bytes = digits(#body),
}

local superseding = K.supersede .. job.tenant .. '|' .. job.user .. '|' .. ARGV[20]
local older = ARGV[20] ~= '' and redis.call('GET', superseding)
local replaced = older and read_job(older)
if replaced and (replaced.flaw or replaced.state ~= 'queued') then replaced = nil end
local places, weight = replaced and 1 or 0, replaced and replaced.bytes or 0  -- that it makes room for

local jobs = redis.call('ZCARD', K.queue)
if jobs == 0 then redis.call('HSET', K.counters, 'queued_bytes', 0) end
local bytes = number(redis.call('HGET', K.counters, 'queued_bytes'))
if jobs - places >= tonumber(ARGV[16])
    or (jobs > places and bytes - weight + #body > tonumber(ARGV[17])) then
  return {'FULL', jobs, bytes}
end
local most, mine = tonumber(ARGV[18]), tonumber(redis.call('HGET', K.waiting, job.tenant) or '0')
if most > 0 and mine - places >= most then return {'TENANT_FULL', mine} end
if replaced then end_queued(older, replaced, 'superseded') end

local BEGINNINGS = 100         -- of a conversation that are looked for, at most

-- The worker that has the longest known beginning of the conversation in its cache, and still runs.
local function find_preferred()
  if #ARGV < 24 then return nil end
  local names = {}
  for i = 24, math.min(#ARGV, 23 + BEGINNINGS) do names[#names + 1] = K.prefix .. ARGV[i] end
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

local now = now_ms()
local sequence = redis.call('HINCRBY', K.counters, 'sequence', 1)
job.wait_until_ms = digits(now + math.min(ARGV[12], ARGV[13]))
job.place = table.concat({job.class, job.tier, job.tenant, job.user,
  string.format('%014.0f', sequence), id}, '|')
local ttl = digits(tonumber(ARGV[13]) + WORKER_TTL_MS)
redis.call('HSET', K.job .. id,
  'state', 'queued', 'api', api, 'tenant', job.tenant, 'user', job.user, 'tier', job.tier,
  'weight', job.weight, 'class', job.class, 'wants', ARGV[8], 'estimate', ARGV[9],
  'prompt_estimate', ARGV[10], 'completion_estimate', ARGV[11],
  'place', job.place, 'bytes', job.bytes, 'enqueued_ms', digits(now),
  'wait_until_ms', job.wait_until_ms, 'deadline_ms', digits(now + tonumber(ARGV[13])),
  'attempts', 0, 'max_attempts', ARGV[14], 'crashes', 0, 'max_crashes', ARGV[15],
  'max_tenant_running', ARGV[19], 'prefix', ARGV[21])
if ARGV[22] ~= '' then redis.call('HSET', K.job .. id, 'visible', 1, 'seen_cost', ARGV[22]) end
redis.call('PEXPIRE', K.job .. id, ttl)
redis.call('SET', K.body .. id, body, 'PX', ttl)
if ARGV[20] ~= '' then redis.call('SET', superseding, id, 'PX', ttl) end
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

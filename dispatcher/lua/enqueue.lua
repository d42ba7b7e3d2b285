-- enqueue: put a job into the queue, once.
-- KEYS[1]  the model's key prefix
-- ARGV     1 job id               2 api that waits for it    3 tenant         4 tier
--          5 wants (flags)        6 estimate (cost, tokens)  7 wait ms: longest time in the queue
--          8 deadline ms: longest time in all                9 max attempts  10 max crashes
--          11 queue bound, jobs   12 queue bound, bytes      13 body
-- Returns  {'OK', position}       queued; position 1 is the next of its tenant and all others
--          {'KNOWN', state}       a job of this id exists: a repeated call changes nothing
--          {'UNKNOWN_API'}        the api has no reply stream: send api_heartbeat first
--          {'FULL', jobs, bytes}  over a bound
local id, api, body = ARGV[1], ARGV[2], ARGV[13]
local state = redis.call('HGET', K.job .. id, 'state')
if state then return {'KNOWN', state} end
if not redis.call('ZSCORE', K.apis, api) then return {'UNKNOWN_API'} end

local jobs = redis.call('ZCARD', K.queue)
if jobs == 0 then redis.call('HSET', K.counters, 'queued_bytes', 0) end
local bytes = tonumber(redis.call('HGET', K.counters, 'queued_bytes') or '0')
if jobs >= tonumber(ARGV[11]) or (jobs > 0 and bytes + #body > tonumber(ARGV[12])) then
  return {'FULL', jobs, bytes}
end

local now = now_ms()
local sequence = redis.call('HINCRBY', K.counters, 'sequence', 1)
local job = {
  api = api, tenant = ARGV[3], tier = ARGV[4], bytes = digits(#body),
  wait_until_ms = digits(now + tonumber(ARGV[7])),
  place = ARGV[4] .. '|' .. ARGV[3] .. '|' .. string.format('%014.0f', sequence) .. '|' .. id,
}
local ttl = digits(tonumber(ARGV[8]) + WORKER_TTL_MS)
redis.call('HSET', K.job .. id,
  'state', 'queued', 'api', api, 'tenant', job.tenant, 'tier', job.tier, 'wants', ARGV[5],
  'estimate', ARGV[6], 'place', job.place, 'bytes', job.bytes, 'enqueued_ms', digits(now),
  'wait_until_ms', job.wait_until_ms, 'deadline_ms', digits(now + tonumber(ARGV[8])),
  'attempts', 0, 'max_attempts', ARGV[9], 'crashes', 0, 'max_crashes', ARGV[10])
redis.call('PEXPIRE', K.job .. id, ttl)
redis.call('SET', K.body .. id, body, 'PX', ttl)
enter_queue(id, job)
redis.call('HINCRBY', K.counters, 'enqueued', 1)
return {'OK', jobs + 1}

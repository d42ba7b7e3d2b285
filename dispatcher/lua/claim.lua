-- claim: take as many jobs as there are free slots, the least served tenant first.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker  2 epoch  3 most jobs to take (0: only pass the ring on)  4 nonce  5 lease ms
--          6 heads to look at, at most
-- Returns  {'FENCED'}                    register again
--          {'OK', free slots left, job, …}   each {token, api, wants, milliseconds left, queued ms}
-- The bridge makes a new random nonce for each claim and repeats it when a reply was cut: the same
-- nonce finds the same jobs. An attempt is named by the nonce and a count.
local worker, epoch, nonce = ARGV[1], ARGV[2], ARGV[4]
if not is_registered(worker, epoch) then return {'FENCED'} end
local now = now_ms()
extend_lease(worker, now + tonumber(ARGV[5]))

local function describe(id, token)
  local job = redis.call('HMGET', K.job .. id, 'api', 'wants', 'deadline_ms', 'enqueued_ms',
    'claimed_ms')
  return {token, job[1], job[2], digits(job[3] - now), digits(job[5] - job[4])}
end

local jobs = {}
for _, token in ipairs(redis.call('ZRANGE', K.running .. worker, 0, -1)) do
  local id, attempt = split_token(token)
  if string.sub(attempt, 1, #nonce + 1) == nonce .. '-' then jobs[#jobs + 1] = describe(id, token) end
end
if #jobs > 0 then return {'OK', free_slots(worker), unpack(jobs)} end

local function next_head()
  for _, tier in ipairs({'default'}) do
    local tenant = redis.call('ZRANGE', K.tenants .. tier, 0, 0)[1]
    if tenant then return head_of(tier, tenant), tier, tenant end
  end
end

local function take(id, job)
  local attempt = nonce .. '-' .. #jobs + 1
  local token = id .. ':' .. attempt
  charge(job, job.estimate)
  leave_queue(id, job)
  redis.call('ZADD', K.deadlines, job.deadline_ms, id)
  redis.call('HSET', K.job .. id, 'state', 'running', 'worker', worker, 'attempt', attempt,
    'claimed_ms', digits(now))
  redis.call('HINCRBY', K.job .. id, 'attempts', 1)
  redis.call('ZADD', K.running .. worker, digits(now), token)
  jobs[#jobs + 1] = describe(id, token)
end

local function drop(id, job, state)
  tell(job.api, id .. ':', state, '{}')
  leave_queue(id, job)
  end_job(id, state)
end

local wanted = math.min(tonumber(ARGV[3]), free_slots(worker))
local looked = 0
while #jobs < wanted and looked < tonumber(ARGV[6]) do
  local place, tier, tenant = next_head()
  if not tier then break end
  looked = looked + 1
  local id = place and string.match(place, '([^|]*)$')
  local job = id and read_job(id)
  if not place then redis.call('ZREM', K.tenants .. tier, tenant)
  elseif not job then redis.call('ZREM', K.queue, place)
  elseif not redis.call('ZSCORE', K.apis, job.api) then drop(id, job, 'abandoned')
  elseif tonumber(job.wait_until_ms) <= now then drop(id, job, 'expired')
  else take(id, job)
  end
end
redis.call('PEXPIRE', K.running .. worker, WORKER_TTL_MS)
if redis.call('ZCARD', K.queue) > 0 then ring(K.bell) end
return {'OK', free_slots(worker), unpack(jobs)}

-- renew: the bridge lives, this is its state, these are the attempts that still move.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker  2 epoch  3 lease ms  4 slots  5 accepting (1 or 0)
--          6 grace ms: an attempt younger than this may be missing (its claim is still on the way)
--          7 number of pairs of field and value that follow; behind them pairs of a token that is held
--          and what it has cost so far
-- Returns  {'FENCED'}                       register again
--          {'OK', {token, …}, {token, …}, {token, …}}  those that are not, or no longer, this worker's; those
--                                           whose client has gone; and those whose api was taken for dead.
--                                           Behind them the live apis that speak another protocol, as
--                                           register names them
local worker, epoch, now = ARGV[1], ARGV[2], now_ms()
if not is_registered(worker, epoch) then return {'FENCED'} end
extend_lease(worker, now + tonumber(ARGV[3]))
local before = fields_of(K.worker .. worker, 'slots', 'accepting')
local facts = tonumber(ARGV[7]) * 2
redis.call('HSET', K.worker .. worker, 'slots', ARGV[4], 'accepting', ARGV[5],
  'renewed_ms', digits(now), 'protocol', PROTOCOL)
set_arguments(K.worker .. worker, 8, 7 + facts)
redis.call('PEXPIRE', K.worker .. worker, WORKER_TTL_MS)
publish_speed(worker)
if ARGV[5] == '1' and (before[2] ~= '1' or tonumber(ARGV[4]) > number(before[1])) then
  ring_worker(worker)
end

-- Long jobs are charged as they go: an estimate that was too low would let their tenant begin others.
local function raise_estimate(id, cost)
  local job = read_job(id)
  if job and not job.flaw and tonumber(cost) > tonumber(job.estimate) then
    charge(job, job.estimate, cost)
    redis.call('HSET', K.job .. id, 'estimate', cost)
  end
end

local held, foreign, unwanted, orphaned = {}, {}, {}, {}
for i = 8 + facts, #ARGV, 2 do
  local token = ARGV[i]
  held[token] = true
  if not redis.call('ZSCORE', K.running .. worker, token) then
    foreign[#foreign + 1] = token
  else
    local id = split_token(token)
    local job = fields_of(K.job .. id, 'cancelled', 'api', 'estimate')
    if job[1] or not job[2] then unwanted[#unwanted + 1] = token
    elseif not redis.call('ZSCORE', K.apis, job[2]) then orphaned[#orphaned + 1] = token end
    -- One that can't be charged goes on: finish passes its answer on.
    if job[2] and tonumber(ARGV[i + 1]) > number(job[3]) then guarded(raise_estimate, id, ARGV[i + 1]) end
  end
end
local oldest = digits(now - tonumber(ARGV[6]))
local overdue = redis.call('ZRANGEBYSCORE', K.running .. worker, '-inf', oldest)
local recovered = 0
for _, token in ipairs(overdue) do
  if not held[token] and recovered < MOST_RECOVERED then
    recovered = recovered + 1
    take_off(worker, token)
    ring_worker(worker)
    recover(token, now, '{"code":"worker_failed","message":"The worker lost the job."}')
  end
end
redis.call('PEXPIRE', K.running .. worker, WORKER_TTL_MS)
return {'OK', foreign, unwanted, orphaned, unpack(other_apis())}

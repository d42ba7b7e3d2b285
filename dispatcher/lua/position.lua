-- position: how many jobs are likely to be claimed before these, this one counted.
-- KEYS[1]  the model's key prefix
-- ARGV     1… job ids
-- Returns  {slots, mean ms that a job holds one, position, …}  0 for a job that is not queued
-- An estimate: all that wait get their turns, in the order in which they are due, until it is the
-- job's. Costs a few looks per job, however many wait.
-- @include levels
-- @include read_job
local function jobs_under(from)
  return redis.call('ZLEXCOUNT', K.queue, '[' .. from .. '|', '(' .. from .. '|\255')
end

-- The position, among all that wait at `parent`, of the job that is the `nth` of `child`.
local function turn(class, parent, child, nth)
  local all = math.max(1, redis.call('ZCARD', turns(class, parent)))
  local before = redis.call('ZRANK', turns(class, parent), child) or all - 1
  return (nth - 1) * all + before + 1
end

local function of_other_tiers(job, nth)
  local ahead = 0
  for _, tier in ipairs(redis.call('ZRANGE', turns(job.class, ''), 0, -1)) do
    if tier ~= job.tier and TIER_WEIGHTS[tier] then
      local turns_of_it = math.ceil(nth * TIER_WEIGHTS[tier] / TIER_WEIGHTS[job.tier])
      ahead = ahead + math.min(turns_of_it, jobs_under(job.class .. '|' .. tier))
    end
  end
  return ahead
end

local function position(job)
  local path = tenant_path(job)
  local flow = job.class .. '|' .. path .. '|' .. job.user .. '|'
  local nth = redis.call('ZLEXCOUNT', K.queue, '[' .. flow, '[' .. job.place)
  nth = math.min(turn(job.class, path, job.user, nth), jobs_under(job.class .. '|' .. path))
  nth = math.min(turn(job.class, job.tier, job.tenant, nth),
    jobs_under(job.class .. '|' .. job.tier))
  return nth + of_other_tiers(job, nth)
end

local slots = 0
for _, worker in ipairs(redis.call('ZRANGE', K.workers, 0, -1)) do
  slots = slots + number(fields_of(K.worker .. worker, 'slots')[1])
end
local mean = number(fields_of(K.counters, 'mean_service_ms')[1])
local answer = {slots, string.format('%.3f', mean)}
for _, id in ipairs(ARGV) do
  local job = read_job(id)
  local is_queued = job and not job.flaw and job.state == 'queued'
  answer[#answer + 1] = is_queued and position(job) or 0
end
return answer

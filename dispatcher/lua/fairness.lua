-- Whose turn it is: virtual token counters (arXiv 2401.00588) at three levels, tiers, tenants of a tier
-- and users of a tenant, put in front of the scripts that need it by dispatcher/scripts.py.
-- dispatcher/reference/turns.py says the same in Python.
--
-- `parent` names a level: '' for the tiers, '<tier>', '<tier>|<tenant>'; `child` one who waits there.
-- Of each child two counters are kept, in cost per weight: `served`, what it had, and `charged`, what its
-- running jobs are expected to cost. The least sum is next. Who returns starts at the least `served` of
-- those who wait: not at a sum, for estimates may be far too high, and it would wait until others had
-- as much in truth. What waits in several classes (dispatcher/needs.py) has the same sum in each. Of who
-- doesn't wait the sum is kept in `idle`.

local function turns(class, parent)
  if parent == '' then return K.turns .. class end
  return K.turns .. class .. '|' .. parent
end

local function tenant_path(job)
  return job.tier .. '|' .. job.tenant
end

local function share(cost, weight)
  return math.floor(cost / weight + 0.5)
end

local classes_seen
local function all_classes()
  classes_seen = classes_seen or redis.call('ZRANGE', K.classes, 0, -1)
  return classes_seen
end

-- One bridge for each class that waits.
local function call_all()
  for _, class in ipairs(all_classes()) do call_one(class) end
end

local function least_served(parent)
  return tonumber(redis.call('ZRANGE', K.served .. parent, 0, 0, 'WITHSCORES')[2])
end

-- Who was forgotten had no more than those who wait: it would start where they are.
local function move_idle(parent, child, amount)
  if redis.call('ZADD', K.idle .. parent, 'XX', 'INCR', digits(amount), child) or amount <= 0 then return end
  local least = least_served(parent)
  if least then redis.call('ZADD', K.idle .. parent, digits(least + amount), child) end
end

local function move(parent, child, amount)
  local waits = false
  for _, class in ipairs(all_classes()) do
    if redis.call('ZADD', turns(class, parent), 'XX', 'INCR', digits(amount), child) then waits = true end
  end
  if not waits then move_idle(parent, child, amount) end
end

-- Returns whether the child was not waiting in this class already.
local function begin_waiting(class, parent, child)
  if redis.call('ZSCORE', turns(class, parent), child) then return false end
  local served = redis.call('ZSCORE', K.served .. parent, child)
  local charged = redis.call('HGET', K.charged .. parent, child) or '0'
  if not served then
    local own = (redis.call('ZSCORE', K.idle .. parent, child) or charged) - charged
    served = math.max(own, least_served(parent) or own)
    redis.call('ZREM', K.idle .. parent, child)
    redis.call('ZADD', K.served .. parent, digits(served), child)
  end
  redis.call('ZADD', turns(class, parent), digits(served + charged), child)
  return true
end

-- Where nobody waits any more, nobody is behind: what they were served is forgotten. Else one who was
-- served for long, while others were away, would wait until they had as much.
local function stop_waiting(class, parent, child)
  local sum = redis.call('ZSCORE', turns(class, parent), child)
  if not sum then return end
  redis.call('ZREM', turns(class, parent), child)
  for _, other in ipairs(all_classes()) do
    if redis.call('ZSCORE', turns(other, parent), child) then return end
  end
  redis.call('ZREM', K.served .. parent, child)
  if redis.call('EXISTS', K.served .. parent) == 1 then
    redis.call('ZADD', K.idle .. parent, sum, child)
  else
    redis.call('DEL', K.idle .. parent)
  end
end

-- What those away were served, and what their jobs will cost, counts no more once all who wait were served
-- as much.
local function forget_idle(parent)
  local least = least_served(parent)
  if least then redis.call('ZREMRANGEBYSCORE', K.idle .. parent, '-inf', digits(least)) end
end

local function tenant_waits(class, tier, tenant)
  if begin_waiting(class, tier, tenant) then begin_waiting(class, '', tier) end
end

local function tenant_rests(class, tier, tenant)
  stop_waiting(class, tier, tenant)
  if redis.call('EXISTS', turns(class, tier)) == 0 then stop_waiting(class, '', tier) end
end

local function enter_turns(job)
  if begin_waiting(job.class, tenant_path(job), job.user)
      and redis.call('SISMEMBER', K.parked, job.tenant) == 0 then
    tenant_waits(job.class, job.tier, job.tenant)
  end
end

local function flow_head(class, path)
  local flow = class .. '|' .. path .. '|'
  return redis.call('ZRANGEBYLEX', K.queue, '[' .. flow, '(' .. flow .. '\255', 'LIMIT', 0, 1)[1]
end

local function leave_turns(job)
  local path = tenant_path(job)
  if job.is_followed or flow_head(job.class, path .. '|' .. job.user) then return end
  stop_waiting(job.class, path, job.user)
  if redis.call('EXISTS', turns(job.class, path)) == 0 then
    tenant_rests(job.class, job.tier, job.tenant)
  end
end

-- A tenant with as many running jobs as it may have is not waiting until one of them ends.
local function park(tenant)
  redis.call('SADD', K.parked, tenant)
  for _, class in ipairs(all_classes()) do
    for tier in pairs(TIER_WEIGHTS) do tenant_rests(class, tier, tenant) end
  end
end

local function unpark(tenant)
  if redis.call('SREM', K.parked, tenant) == 0 then return false end
  for _, class in ipairs(all_classes()) do
    for tier in pairs(TIER_WEIGHTS) do
      if redis.call('EXISTS', turns(class, tier .. '|' .. tenant)) == 1 then
        tenant_waits(class, tier, tenant)
      end
    end
  end
  return true
end

local LEAST_WEIGHT, MOST_WEIGHT = 0.001, 1000  -- as in api/tenant.py

local function levels(job)
  local weight = math.min(math.max(tonumber(job.weight), LEAST_WEIGHT), MOST_WEIGHT)
  return {{'', job.tier, TIER_WEIGHTS[job.tier]}, {job.tier, job.tenant, weight},
    {tenant_path(job), job.user, 1}}
end

local function add_charge(parent, child, amount)
  if redis.call('HINCRBY', K.charged .. parent, child, digits(amount)) == 0 then
    redis.call('HDEL', K.charged .. parent, child)
  end
end

-- A running job is expected to cost `after` where it was `before`: 0 before it runs, and after it was
-- given back.
local function charge(job, before, after)
  for _, level in ipairs(levels(job)) do
    local parent, child, weight = unpack(level)
    local amount = share(after, weight) - share(before, weight)
    if amount ~= 0 then
      add_charge(parent, child, amount)
      move(parent, child, amount)
    end
  end
end

-- A job has ended that was expected to cost job.estimate and did cost `cost`.
local function settle(job, cost)
  for _, level in ipairs(levels(job)) do
    local parent, child, weight = unpack(level)
    local expected, real = share(job.estimate, weight), share(cost, weight)
    add_charge(parent, child, 0 - expected)
    redis.call('ZADD', K.served .. parent, 'XX', 'INCR', digits(real), child)
    move(parent, child, real - expected)
  end
end

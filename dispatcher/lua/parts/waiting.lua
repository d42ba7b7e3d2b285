-- Who waits, at the three levels.
-- @include charges
-- @include move
-- @include places

-- Who returns starts at the least `served` of those who wait: not at a sum, for estimates may be
-- far too high, and it would wait until others had as much in truth.
local function served_at_start(c, parent, child, charged)
  local idle = redis.call('ZSCORE', K.idle .. parent, child)
  local own = (idle or charged) - charged
  if idle then redis.call('ZREM', K.idle .. parent, child) end
  return math.max(own, least_served(parent) or own)
end

-- What waits in several classes (dispatcher/needs.py) has the same sum in each. Returns whether
-- the child was not waiting in this class already.
local function begin_waiting(c, class, parent, child)
  if redis.call('ZSCORE', turns(class, parent), child) then return false end
  local served = redis.call('ZSCORE', K.served .. parent, child)
  local charged = charged_of(c, path_of(parent, child))
  if not served then
    served = served_at_start(c, parent, child, charged)
    redis.call('ZADD', K.served .. parent, digits(served), child)
  end
  redis.call('ZADD', turns(class, parent), digits(served + charged), child)
  return true
end

-- Where nobody waits any more, nobody is behind: what they were served is forgotten. Else one who
-- was served for long, while others were away, would wait until they had as much.
local function stop_waiting(c, class, parent, child)
  local sum = redis.call('ZSCORE', turns(class, parent), child)
  if not sum then return end
  redis.call('ZREM', turns(class, parent), child)
  for _, other in ipairs(all_classes(c)) do
    if other ~= class and redis.call('ZSCORE', turns(other, parent), child) then return end
  end
  redis.call('ZREM', K.served .. parent, child)
  if redis.call('EXISTS', K.served .. parent) == 1 then
    redis.call('ZADD', K.idle .. parent, sum, child)
  else
    redis.call('DEL', K.idle .. parent)
  end
end

local function tenant_waits(c, class, tier, tenant)
  if begin_waiting(c, class, tier, tenant) then begin_waiting(c, class, '', tier) end
end

local function tenant_rests(c, class, tier, tenant)
  stop_waiting(c, class, tier, tenant)
  if redis.call('EXISTS', turns(class, tier)) == 0 then stop_waiting(c, class, '', tier) end
end

local function is_parked(c, tenant)
  return counted(c, 'parked') > 0 and redis.call('SISMEMBER', K.parked, tenant) == 1
end

-- The first of all that wait.
local function begin_turns(c, job)
  read_charges_of(c, job)
  local is_resting = is_parked(c, job.tenant)
  for i, level in ipairs(levels(job)) do
    if i == 3 or not is_resting then
      redis.call('ZADD', K.served .. level[1], 0, level[2])
      redis.call('ZADD', turns(job.class, level[1]), digits(c.charged[level[4]]), level[2])
    end
  end
end

local function enter_turns(c, job, is_first)
  local flow = job.class .. '|' .. levels(job)[3][4]
  if c.waits[flow] then return end
  c.waits[flow] = true
  if is_first then return begin_turns(c, job) end
  if begin_waiting(c, job.class, tenant_path(job), job.user) and not is_parked(c, job.tenant) then
    tenant_waits(c, job.class, job.tier, job.tenant)
  end
end

local function leave_turns(c, job)
  c.waits = {}
  local path = tenant_path(job)
  if job.is_followed or flow_heads(job.class, path .. '|' .. job.user, 1)[1] then return end
  stop_waiting(c, job.class, path, job.user)
  if redis.call('EXISTS', turns(job.class, path)) == 0 then
    tenant_rests(c, job.class, job.tier, job.tenant)
  end
end

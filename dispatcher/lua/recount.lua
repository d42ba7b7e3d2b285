-- Counts anew, after damage, what is counted for jobs; in front of reap.lua. What a job that can't be read was
-- charged is then neither its tenant's burden for ever nor a gift to it.

local LONGEST = 10000          -- a longer queue is counted when it is shorter: that would hold up the others

local function add(counts, name, amount)
  counts[name] = (counts[name] or 0) + amount
end

-- All attempts that run, and what their jobs are expected to cost.
local function look_at_running()
  local running, busy, charged = 0, {}, {}
  for _, worker in ipairs(redis.call('ZRANGE', K.workers, 0, -1)) do
    for _, token in ipairs(try('ZRANGE', K.running .. worker, 0, -1) or {}) do
      running = running + 1
      local job = read_job(split_token(token) or '')
      if job and not job.flaw then
        if number(job.max_tenant_running) > 0 then add(busy, job.tenant, 1) end
        for _, level in ipairs(levels(job)) do
          local parent, child, weight = unpack(level)
          charged[parent] = charged[parent] or {}
          add(charged[parent], child, share(job.estimate, weight))
        end
      end
    end
  end
  return running, busy, charged
end

local function recount_busy(busy)
  redis.call('DEL', K.busy)
  for tenant, count in pairs(busy) do redis.call('HSET', K.busy, tenant, count) end
  for _, tenant in ipairs(redis.call('SMEMBERS', K.parked)) do
    if not busy[tenant] then unpark(tenant) end
  end
end

-- Returns the children of a level, with what they are expected to cost.
local function recount_charges(parent, charged)
  local expected, counted = charged[parent] or {}, {}
  local pairs_ = redis.call('HGETALL', K.charged .. parent)
  for i = 1, #pairs_, 2 do
    if not tonumber(pairs_[i + 1]) then redis.call('HDEL', K.charged .. parent, pairs_[i]) end
    counted[pairs_[i]] = number(pairs_[i + 1])
    expected[pairs_[i]] = expected[pairs_[i]] or 0
  end
  for child, cost in pairs(expected) do
    local wrong = counted[child] or 0
    if cost ~= wrong then
      add_charge(parent, child, cost - wrong)
      move(parent, child, cost - wrong)
    end
  end
  return expected
end

local function recount_running()
  local running, busy, charged = look_at_running()
  redis.call('HSET', K.counters, 'running', running)
  recount_busy(busy)
  recount_charges('', charged)
  for tier in pairs(TIER_WEIGHTS) do
    for tenant in pairs(recount_charges(tier, charged)) do
      recount_charges(tier .. '|' .. tenant, charged)
    end
  end
end

local function recount_queue()
  local waiting, waiting_bytes, classes, bytes = {}, {}, {}, 0
  for _, place in ipairs(redis.call('ZRANGE', K.queue, 0, -1)) do
    local class, tier, tenant, user = split_place(place)
    if class and sequence_of(place) and TIER_WEIGHTS[tier] then
      add(waiting, tenant, 1)
      add(classes, class, 1)
      local of_job = number(fields_of(K.job .. string.match(place, '[^|]*$'), 'bytes')[1])
      add(waiting_bytes, tenant, of_job)
      bytes = bytes + of_job
    else
      redis.call('ZREM', K.queue, place)
    end
  end
  redis.call('DEL', K.waiting, K.waiting_bytes, K.classes)
  for tenant, count in pairs(waiting) do
    redis.call('ZADD', K.waiting, count, tenant)
    redis.call('ZADD', K.waiting_bytes, digits(waiting_bytes[tenant]), tenant)
  end
  for class, count in pairs(classes) do redis.call('ZADD', K.classes, count, class) end
  redis.call('HSET', K.counters, 'queued_bytes', digits(bytes))
  classes_seen = nil
end

-- Where nothing runs, nothing is charged: else a field was changed while a job ran.
local function is_wrong_at_rest()
  if number(redis.call('HGET', K.counters, 'running')) > 0 then return false end
  local keys = {K.busy, K.charged}
  for tier in pairs(TIER_WEIGHTS) do keys[#keys + 1] = K.charged .. tier end
  return redis.call('EXISTS', unpack(keys)) > 0
end

local function recount()
  if redis.call('HEXISTS', K.counters, 'recount') == 0 and not is_wrong_at_rest() then return end
  if redis.call('ZCARD', K.queue) <= LONGEST then
    recount_queue()
    redis.call('HDEL', K.counters, 'recount')
  end
  recount_running()
end

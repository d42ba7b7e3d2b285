-- Counts again, after damage, what is counted for jobs. So what an unreadable job was charged is
-- neither a burden for its tenant for ever nor a gift to it.
-- @include add_charge
-- @include call
-- @include charge
-- @include places
-- @include try
-- @include unpark
-- @include read_job

local function add(counts, name, amount)
  counts[name] = (counts[name] or 0) + amount
end

-- How many attempts take a slot, how many take none, and what their jobs are expected to cost, by
-- path.
local function look_at_running()
  local running, sides, busy, charged = 0, 0, {}, {}
  for _, worker in ipairs(redis.call('ZRANGE', K.workers, 0, -1)) do
    local rows = try('ZRANGE', K.running .. worker, 0, -1, 'WITHSCORES') or {}
    for i = 1, #rows, 2 do
      if tonumber(rows[i + 1]) < 0 then sides = sides + 1 else running = running + 1 end
      local job = read_job(split_attempt_id(rows[i]) or '')
      if job and not job.flaw then
        if number(job.max_tenant_running) > 0 then add(busy, job.tenant, 1) end
        for _, level in ipairs(levels(job)) do
          charged[level[4]] = charged[level[4]] or {level[1], level[2], 0}
          charged[level[4]][3] = charged[level[4]][3] + share(job.estimate, level[3])
        end
      end
    end
  end
  return running, sides, busy, charged
end

local function recount_busy(busy)
  redis.call('DEL', K.busy)
  for tenant, jobs in pairs(busy) do redis.call('HSET', K.busy, tenant, jobs) end
  for _, tenant in ipairs(redis.call('SMEMBERS', K.parked)) do
    if not busy[tenant] then unpark(c, tenant) end
  end
  set_counter(c, 'parked', redis.call('SCARD', K.parked))
  c.added.parked = nil
end

-- The parent and the child of a path: names hold no '|'.
local function split_path(path)
  local parent, child = string.match(path, '^(.*)|([^|]*)$')
  return parent or '', child or path
end

-- Whoever is charged is among `charged`, or was until now.
local function recount_charges(charged)
  local rows = redis.call('HGETALL', K.charged)
  for i = 1, #rows, 2 do
    if not tonumber(rows[i + 1]) then redis.call('HDEL', K.charged, rows[i]) end
    local parent, child = split_path(rows[i])
    charged[rows[i]] = charged[rows[i]] or {parent, child, 0}
    c.charged[rows[i]] = number(rows[i + 1])
  end
  for path, row in pairs(charged) do
    local parent, child, cost = unpack(row)
    local wrong_by = cost - charged_of(c, path)
    if wrong_by ~= 0 then
      add_charge(c, path, wrong_by)
      move(c, parent, child, wrong_by)
    end
  end
end

local function recount_running()
  local running, sides, busy, charged = look_at_running()
  set_counter(c, 'running', running)
  set_counter(c, 'sides_running', sides)
  recount_busy(busy)
  recount_charges(charged)
end

local function recount_queue()
  local waiting, waiting_bytes, classes, bytes = {}, {}, {}, 0
  for _, place in ipairs(redis.call('ZRANGE', K.queue, 0, -1)) do
    local class, tier, tenant = split_place(place)
    if class and sequence_of(place) and TIER_WEIGHTS[tier] then
      add(waiting, tenant, 1)
      add(classes, class, 1)
      local of_job = number(fields_of(K.job .. job_of(place), 'bytes')[1])
      add(waiting_bytes, tenant, of_job)
      bytes = bytes + of_job
    else
      redis.call('ZREM', K.queue, place)
    end
  end
  redis.call('DEL', K.waiting, K.waiting_bytes, K.classes)
  for tenant, jobs in pairs(waiting) do
    redis.call('ZADD', K.waiting, jobs, tenant)
    redis.call('ZADD', K.waiting_bytes, waiting_bytes[tenant], tenant)
  end
  for class, jobs in pairs(classes) do redis.call('ZADD', K.classes, jobs, class) end
  set_counter(c, 'queued_bytes', bytes)
  c.classes = nil
end

-- Where nothing runs, nothing is charged: else a field was changed while a job ran.
local function is_wrong_at_rest()
  return counted(c, 'running') <= 0 and counted(c, 'sides_running') <= 0
      and redis.call('EXISTS', K.busy, K.charged) > 0
end

local function recount()
  write_charges(c)
  write_counters(c)
  c.known, c.charged = {}, {}
  read_counters(c, 'recount', 'running', 'sides_running')
  if number(counter(c, 'recount')) == 0 and not is_wrong_at_rest() then return end
  if redis.call('ZCARD', K.queue) <= MOST_RECOUNTED then
    recount_queue()
    set_counter(c, 'recount', 0)
  end
  recount_running()
end

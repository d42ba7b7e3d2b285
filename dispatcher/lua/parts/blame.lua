-- Whose jobs crashed a server. `crashes` (ZSET) has a row for each who was there:
-- '<tenant>|<user>|<Unix ms>|<worker>', which is a score too. `suspects` (ZSET) has the names of
-- those under suspicion, '<tenant>|<user>', until when; '<tenant>|-' stands for all its end users.
-- @include attempts
-- @include day_of
-- @include suspects
-- @include tolerant
-- @include try

local function read_rows_of_crashes(c)
  redis.call('ZREMRANGEBYSCORE', K.crashes, '-inf', c.now - SUSPECTED_MS)
  redis.call('ZREMRANGEBYSCORE', K.held_back, '-inf', c.now + HELD_BACK_MS - SUSPECTED_MS)
  local first = redis.call('ZRANGE', K.crashes, 0 - CRASHES_KEPT, 0 - CRASHES_KEPT, 'WITHSCORES')
  if first[2] then redis.call('ZREMRANGEBYSCORE', K.crashes, '-inf', '(' .. first[2]) end
  local rows = {}
  for _, text in ipairs(redis.call('ZRANGE', K.crashes, 0, -1)) do
    local tenant, user, at, worker = string.match(text, '^([^|]*)|([^|]*)|(%d+)|(.*)$')
    if tenant then
      rows[#rows + 1] = {text = text, tenant = tenant, user = user, at = tonumber(at),
        worker = worker, crash = at .. '|' .. worker}
    end
  end
  return rows
end

-- Each job that the server held is given back by a call of its own, all within this time. The first
-- of them tells who was there.
local function is_of_this_crash(c, row, worker)
  return row.worker == worker and row.at > c.now - SAME_CRASH_MS
end

-- The tenants and users that had a job there, each once.
local function those_held(worker, job)
  local found, seen = {}, {}
  local function add(tenant, user)
    local name = tenant and user and tenant .. '|' .. user
    if name and not seen[name] then
      seen[name] = true
      found[#found + 1] = {tenant = tenant, user = user, name = name}
    end
  end
  add(job.tenant, job.user)
  for _, attempt_id in ipairs(redis.call('ZRANGE', K.running .. worker, 0, HELD_LOOKED_AT - 1)) do
    add(unpack(fields_of(K.job .. (split_attempt_id(attempt_id) or ''), 'tenant', 'user')))
  end
  return found
end

-- Whether these rows are of two servers, and of at least `least` crashes.
local function are_enough(rows, least)
  local crashes, workers, n, servers = {}, {}, 0, 0
  for _, row in ipairs(rows) do
    if not crashes[row.crash] then crashes[row.crash], n = true, n + 1 end
    if not workers[row.worker] then workers[row.worker], servers = true, servers + 1 end
  end
  return servers >= 2 and n >= least
end

local function rows_of_user(rows, who)
  local found = {}
  for _, row in ipairs(rows) do
    if row.tenant == who.tenant and row.user == who.user then found[#found + 1] = row end
  end
  return found
end

-- Of each end user the first two crashes: one of them alone condemns no others.
local function rows_of_tenant(rows, tenant)
  local found, n = {}, {}
  for _, row in ipairs(rows) do
    n[row.user] = (n[row.user] or 0) + (row.tenant == tenant and 1 or 0)
    if row.tenant == tenant and n[row.user] <= 2 then found[#found + 1] = row end
  end
  return found
end

local function suspect(c, name, added)
  if not suspects_of(c)[name] then added[#added + 1] = name end
  suspects_of(c)[name] = true
  redis.call('ZADD', K.suspects, c.now + SUSPECTED_MS, name)
  redis.call('PEXPIRE', K.suspects, SUSPECTED_MS)
  set_counter(c, 'suspected_until_ms', c.now + SUSPECTED_MS)
end

-- Suspects stay suspects for as long again. Others become it with enough crashes.
local function judge(c, rows, blamed, was)
  local added = {}
  for _, who in ipairs(blamed) do
    if was[who.name] then suspect(c, was[who.name], added) end
    if are_enough(rows_of_user(rows, who), 2) then suspect(c, who.name, added) end
    if are_enough(rows_of_tenant(rows, who.tenant), CRASHES_OF_USERS) then
      suspect(c, who.tenant .. '|-', added)
    end
  end
  return added
end

-- One suspect was there alone: it has crashed the other servers as well. Those that were only there
-- beside it are cleared.
local function clear_others(c, rows, guilty)
  local shared, left = {}, {}
  local function is_guilty(row)
    return row.tenant == guilty.tenant and (guilty.user == '-' or row.user == guilty.user)
  end
  for _, row in ipairs(rows) do shared[row.crash] = shared[row.crash] or is_guilty(row) end
  for _, row in ipairs(rows) do
    if is_guilty(row) or not shared[row.crash] then left[#left + 1] = row
    else redis.call('ZREM', K.crashes, row.text) end
  end
  for name in pairs(suspects_of(c)) do
    local tenant, user = string.match(name, '^(.*)|(.*)$')
    local who = {tenant = tenant, user = user}
    local is_still = are_enough(rows_of_user(left, who), 2)
        or (user == '-' and are_enough(rows_of_tenant(left, tenant), CRASHES_OF_USERS))
    if not is_still and name ~= guilty.tenant .. '|' .. guilty.user then
      c.suspects[name] = nil
      redis.call('ZREM', K.suspects, name)
    end
  end
  return left
end

-- The ones to blame, the names under which they were suspects, and whether one suspect was there
-- alone. Where suspects were there, nobody else is blamed.
local function find_blamed(c, worker, job)
  local held, was, suspected = those_held(worker, job), {}, {}
  for _, who in ipairs(held) do
    was[who.name] = suspected_as(c, who.tenant, who.user)
    if was[who.name] then suspected[#suspected + 1] = who end
  end
  return #suspected > 0 and suspected or held, was, #suspected == 1
end

-- Whether the model has served another tenant today. One that is alone with it harms nobody.
local function serves_others(c, tenant)
  local key = K.usage .. day_of(c.now)
  return redis.call('HLEN', key) > (redis.call('HGET', key, tenant) and 1 or 0)
end

-- Holds back a suspect whose own crash this was.
local function hold_back(c, who)
  if not serves_others(c, who.tenant) then return end
  for _, name in ipairs({who.name, who.tenant .. '|-'}) do
    if suspects_of(c)[name] then
      redis.call('ZADD', K.held_back, c.now + HELD_BACK_MS, name)
      redis.call('PEXPIRE', K.held_back, SUSPECTED_MS)
    end
  end
end

local function note_crash(c, rows, worker, job)
  local blamed, was, is_sure = find_blamed(c, worker, job)
  for _, who in ipairs(blamed) do
    local crash = digits(c.now) .. '|' .. worker
    local text = who.name .. '|' .. crash
    redis.call('ZADD', K.crashes, c.now, text)
    rows[#rows + 1] = {text = text, tenant = who.tenant, user = who.user, at = c.now,
      worker = worker, crash = crash}
  end
  redis.call('PEXPIRE', K.crashes, SUSPECTED_MS)
  if is_sure then
    local tenant, user = string.match(was[blamed[1].name], '^(.*)|(.*)$')
    rows = clear_others(c, rows, {tenant = tenant, user = user})
    hold_back(c, blamed[1])
  end
  return judge(c, rows, blamed, was)
end

-- A worker's server has crashed while it had this job, which is off the worker already. Returns the
-- names that are under suspicion from now on, and whether a suspect of another tenant was there:
-- then it need not have been this job.
local function blame(c, worker, job)
  local rows, is_known, other = read_rows_of_crashes(c), false, false
  for _, row in ipairs(rows) do is_known = is_known or is_of_this_crash(c, row, worker) end
  local added = is_known and {} or note_crash(c, rows, worker, job)
  for _, row in ipairs(rows) do
    other = other or (row.tenant ~= job.tenant and is_of_this_crash(c, row, worker)
      and suspected_as(c, row.tenant, row.user) ~= nil)
  end
  return added, other
end

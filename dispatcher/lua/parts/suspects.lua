-- @include counters

-- The tenants and end users whose jobs crashed servers (blame.lua). Where there are none, the
-- counters say so, and nobody is asked.
local function suspects_of(c)
  if c.suspects then return c.suspects end
  c.suspects = {}
  if number(counter(c, 'suspected_until_ms')) <= c.now then return c.suspects end
  local names = redis.pcall('ZRANGEBYSCORE', K.suspects, '(' .. digits(c.now), '+inf')
  for _, name in ipairs(names.err and {} or names) do c.suspects[name] = true end
  return c.suspects
end

-- The name under which a job's tenant, or its end user, is a suspect; nil where none is.
local function suspected_as(c, tenant, user)
  local found = suspects_of(c)
  local whole = tenant .. '|' .. (user or '-')
  return found[whole] and whole or found[tenant .. '|-'] and tenant .. '|-' or nil
end

-- Those that were held back in the last ten minutes, and until when.
local function read_held_back(c)
  c.held_back = {}
  local since = c.now + HELD_BACK_MS - SUSPECTED_MS
  local rows = redis.pcall('ZRANGEBYSCORE', K.held_back, '(' .. digits(since), '+inf', 'WITHSCORES')
  for i = 1, rows.err and 0 or #rows, 2 do c.held_back[rows[i]] = tonumber(rows[i + 1]) end
end

-- The names under which a suspect was held back, and until when; {} where it was not.
local function held_back_as(c, job)
  local found, user = {}, job.user or '-'
  if not suspected_as(c, job.tenant, user) then return found end
  if not c.held_back then read_held_back(c) end
  for _, name in ipairs({job.tenant .. '|-', job.tenant .. '|' .. user}) do
    found[name] = c.held_back[name]
  end
  return found
end

-- For how many ms no job of its tenant, or of its end user, may begin.
local function held_back_ms(c, job)
  local longest = 0
  for _, until_ms in pairs(held_back_as(c, job)) do
    longest = math.max(longest, until_ms - c.now)
  end
  return longest
end

-- A job of one that was held back begins: the next one has to wait.
local function space_out(c, job)
  for name, until_ms in pairs(held_back_as(c, job)) do
    c.held_back[name] = math.max(until_ms, c.now + SPACED_MS)
    redis.call('ZADD', K.held_back, c.held_back[name], name)
  end
end

-- A job that has crashed a server may do it again, and so may any of a tenant under suspicion. A
-- job whose client has seen a part of the answer went well for a while: it was rather a bystander,
-- and its client waits for the next token.
local function is_suspect(c, job)
  if job.visible then return false end
  return tonumber(job.crashes or '0') > 0 or suspected_as(c, job.tenant, job.user) ~= nil
end

-- @include counters

-- The tenants and end users whose jobs crashed servers (blame.lua). Where there are none, nobody is
-- asked: the counters tell.
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

-- A job that has crashed a server may do it again, and so may any of a tenant under suspicion. One
-- whose client has seen a part of the answer went well for a while: it was rather there when its
-- server crashed, and its client waits for the next token.
local function is_suspect(c, job)
  if job.visible then return false end
  return tonumber(job.crashes or '0') > 0 or suspected_as(c, job.tenant, job.user) ~= nil
end

-- @include numbers
-- @include tolerant
-- @include usage_text

-- The tokens of a day, as usage tells.
local function tokens_in(key, field)
  local row = read_usage(fields_of(key, field)[1])
  return row.prompt + row.completion
end

-- Whether the tokens that were left for a job, when it came, are used by now. A job that a worker
-- has begun goes on.
local function is_used_up(c, job)
  local until_ms, day, of_tenant, of_user = string.match(job.quota, '^(%d+) (%S+) (%S+) (%S+)$')
  if not until_ms or c.now >= tonumber(until_ms) then return false end
  if tonumber(job.attempts) > 0 or job.visible then return false end
  if of_tenant ~= '-' and tokens_in(K.usage .. day, job.tenant) >= number(of_tenant) then
    return true
  end
  local user = job.tenant .. '|' .. job.user
  return of_user ~= '-' and tokens_in(K.usage_users .. day, user) >= number(of_user)
end

-- The three levels at which those that wait take turns: tiers, tenants of a tier and users of a
-- tenant. `parent` names a level: '' for the tiers, '<tier>', '<tier>|<tenant>'; `child` one that
-- waits there; `path` both together.
-- @include numbers

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

-- Where a job is charged: {parent, child, the child's weight, path}.
local function levels(job)
  if job.levels then return job.levels end
  local weight = math.min(math.max(number(job.weight, 1), MIN_WEIGHT), MAX_WEIGHT)
  local of_tenant = tenant_path(job)
  job.levels = {
    {'', job.tier, TIER_WEIGHTS[job.tier], job.tier},
    {job.tier, job.tenant, weight, of_tenant},
    {of_tenant, job.user, 1, of_tenant .. '|' .. job.user},
  }
  return job.levels
end

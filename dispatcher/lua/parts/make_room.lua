-- Room in a full queue for a tenant that has less in it than others, or nothing.
-- @include classes
-- @include end_queued
-- @include levels
-- @include places
-- @include read_job

-- The tenant with most queued gives up its newest jobs, unless it would have less than the newcomer
-- then, whose tenant has `own` jobs. Returns how many. Where that makes no room, it returns nil and
-- changes nothing. The steps are made in it: few calls need them.
local function make_room(c, ask, own, jobs_over, bytes_over)
  local least_jobs, least_bytes = jobs_over > 0 and own + 1 or 1, 0
  if bytes_over > 0 and own > 0 then
    least_bytes = number(redis.call('ZSCORE', K.waiting_bytes, ask.tenant)) + #ask.body
  end
  local tiers = {}  -- the least urgent first
  for tier in pairs(TIER_WEIGHTS) do tiers[#tiers + 1] = tier end
  table.sort(tiers, function(a, b) return TIER_WEIGHTS[a] < TIER_WEIGHTS[b] end)

  local function add_flow(found, class, path)
    local flow = class .. '|' .. path .. '|'
    local places = redis.call('ZREVRANGEBYLEX', K.queue, '(' .. flow .. '\255', '[' .. flow,
      'LIMIT', 0, NEWEST_DROPPED)
    for _, place in ipairs(places) do
      local sequence = sequence_of(place)
      if sequence then found[#found + 1] = {sequence, job_of(place)} end
    end
  end

  -- The jobs that a tenant has in the queue of one tier, the newest first.
  local function newest_of(path)
    local found = {}
    for _, class in ipairs(all_classes(c)) do
      for _, user in ipairs(redis.call('ZRANGE', turns(class, path), 0, USERS_LOOKED_AT - 1)) do
        add_flow(found, class, path .. '|' .. user)
      end
    end
    table.sort(found, function(a, b) return a[1] > b[1] end)
    return found
  end

  -- The newest jobs of a tenant's lowest tiers that make this room; nil where it would have less
  -- left than it may. A job that a bridge has held is not among them: it was accepted, and stays.
  local function find_room(tenant)
    local dropped, left = {}, number(redis.call('ZSCORE', K.waiting, tenant))
    local bytes_left = number(redis.call('ZSCORE', K.waiting_bytes, tenant))
    local jobs, bytes = jobs_over, bytes_over
    if left <= least_jobs or bytes_left <= least_bytes then return nil end
    for _, tier in ipairs(tiers) do
      for _, row in ipairs(newest_of(tier .. '|' .. tenant)) do
        if jobs <= 0 and bytes <= 0 then return dropped end
        local job = left > least_jobs and read_job(row[2])
        if job and not job.flaw and job.state == 'queued' and not job.accepted
            and bytes_left - job.bytes >= least_bytes then
          dropped[#dropped + 1] = {row[2], job}
          jobs, left = jobs - 1, left - 1
          bytes, bytes_left = bytes - job.bytes, bytes_left - job.bytes
        end
      end
    end
    return jobs <= 0 and bytes <= 0 and dropped or nil
  end

  local most = bytes_over > 0 and K.waiting_bytes or K.waiting
  for _, tenant in ipairs(redis.call('ZREVRANGE', most, 0, TENANTS_LOOKED_AT - 1)) do
    local dropped = find_room(tenant)
    if dropped then
      for _, row in ipairs(dropped) do end_queued(c, row[1], row[2], 'dropped') end
      return #dropped
    end
  end
end

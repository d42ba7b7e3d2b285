-- Room in a full queue for a tenant that has nothing in it; behind queueing.lua.

local HEADS = 32               -- tenants with the most queued that are looked at
local USERS = 1000             -- end users of a tenant that are looked at
local NEWEST = 64              -- jobs of an end user that are looked at
local TIERS = {}               -- the least urgent first
for tier in pairs(TIER_WEIGHTS) do TIERS[#TIERS + 1] = tier end
table.sort(TIERS, function(a, b) return TIER_WEIGHTS[a] < TIER_WEIGHTS[b] end)

-- The jobs that a tenant has in the queue of one tier, the newest first. A job that a bridge has held is not
-- among them: it was accepted, and stays.
local function newest_of(tier, tenant)
  local found = {}
  for _, class in ipairs(all_classes()) do
    local path = tier .. '|' .. tenant
    for _, user in ipairs(redis.call('ZRANGE', turns(class, path), 0, USERS - 1)) do
      local flow = class .. '|' .. path .. '|' .. user .. '|'
      local places = redis.call('ZREVRANGEBYLEX', K.queue, '(' .. flow .. '\255', '[' .. flow, 'LIMIT', 0, NEWEST)
      for _, place in ipairs(places) do
        local sequence, id = sequence_of(place), string.match(place, '[^|]*$')
        if sequence then found[#found + 1] = {sequence, id} end
      end
    end
  end
  table.sort(found, function(a, b) return a[1] > b[1] end)
  return found
end

-- The newest jobs of a tenant's lowest tiers that make this room; nil where it would have none left.
local function find_room(tenant, jobs_over, bytes_over)
  local dropped, left = {}, number(redis.call('ZSCORE', K.waiting, tenant))
  if left <= 1 then return nil end
  for _, tier in ipairs(TIERS) do
    for _, row in ipairs(newest_of(tier, tenant)) do
      if jobs_over <= 0 and bytes_over <= 0 then return dropped end
      local job = left > 1 and read_job(row[2])
      if job and not job.flaw and job.state == 'queued' and not job.accepted then
        dropped[#dropped + 1] = {row[2], job}
        jobs_over, bytes_over, left = jobs_over - 1, bytes_over - tonumber(job.bytes), left - 1
      end
    end
  end
  return jobs_over <= 0 and bytes_over <= 0 and dropped or nil
end

-- The tenant that has most queued gives up its newest jobs. Returns how many; nil where that makes no room, and
-- nothing was changed.
local function make_room(jobs_over, bytes_over)
  local most = bytes_over > 0 and K.waiting_bytes or K.waiting
  for _, tenant in ipairs(redis.call('ZREVRANGE', most, 0, HEADS - 1)) do
    local dropped = find_room(tenant, jobs_over, bytes_over)
    if dropped then
      for _, row in ipairs(dropped) do end_queued(row[1], row[2], 'dropped') end
      return #dropped
    end
  end
end

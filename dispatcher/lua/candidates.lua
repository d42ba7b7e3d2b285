-- Who waits, and the jobs at the heads of the lines; behind leaving.lua, in front of claiming.lua.

local FAN = 4                  -- of each level so many are looked at, where the first are left to others
local WIDE = 32                -- and so many where there is nothing else to do
local DEEP = 8                 -- and of a user's jobs

local mine = {}                -- the classes of jobs that wait and that this worker may take

-- Those who wait at one level, the least first, over all classes that this worker may take.
local seen_at = {}             -- until a job is taken
local function waiting_at(parent, most)
  most = most or FAN
  local name = most .. parent
  if seen_at[name] then return seen_at[name] end
  local found, seen = {}, {}
  seen_at[name] = found
  for _, class in ipairs(mine) do
    local pairs_ = redis.call('ZRANGE', turns(class, parent), 0, most - 1, 'WITHSCORES')
    for i = 1, #pairs_, 2 do
      local is_known = parent ~= '' or TIER_WEIGHTS[pairs_[i]]
      if is_known and not seen[pairs_[i]] then found[#found + 1] = {pairs_[i], tonumber(pairs_[i + 1])} end
      seen[pairs_[i]] = true
    end
  end
  if parent == '' then  -- of tiers that are even the more urgent one is first
    table.sort(found, function(a, b)
      return a[2] < b[2] or (a[2] == b[2] and TIER_WEIGHTS[a[1]] > TIER_WEIGHTS[b[1]])
    end)
  elseif #mine > 1 then
    table.sort(found, function(a, b) return a[2] < b[2] or (a[2] == b[2] and a[1] < b[1]) end)
  end
  return found
end

-- A user's oldest jobs, over all these classes, so many of each.
local function oldest_of(path, most)
  local places = {}
  for _, class in ipairs(mine) do
    local flow = class .. '|' .. path .. '|'
    local found = redis.call('ZRANGEBYLEX', K.queue, '[' .. flow, '(' .. flow .. '\255', 'LIMIT', 0, most)
    for _, place in ipairs(found) do
      if sequence_of(place) then places[#places + 1] = place else redis.call('ZREM', K.queue, place) end
    end
  end
  if #mine > 1 then
    table.sort(places, function(a, b) return sequence_of(a) < sequence_of(b) end)
  end
  return places
end

local TEXTS_CLAIMED = {'api', 'state', 'tier', 'wants'}
local NUMBERS_CLAIMED = {'weight', 'estimate', 'prompt_estimate', 'completion_estimate', 'bytes',
  'enqueued_ms', 'wait_until_ms', 'deadline_ms', 'attempts', 'crashes', 'generation'}

-- What a claim needs to know of a job; the place tells the rest.
local function look_at(id, place)
  local job = read_fields(id, 'api', 'wants', 'weight', 'estimate', 'prompt_estimate',
    'completion_estimate', 'bytes', 'enqueued_ms', 'wait_until_ms', 'deadline_ms', 'attempts',
    'max_tenant_running', 'prefers', 'cached_there', 'left_since_ms', 'avoids', 'crashes', 'visible',
    'state', 'generation', 'supersedes', 'path')
  job.place, job.class, job.tier, job.tenant, job.user = place, split_place(place)
  return job
end

-- Builds before protocol 2 wrote none.
local function is_path(text)
  return string.sub(text or '', 1, 1) == '/'
end

-- A place whose job is not there, or not queued.
local function clear_place(id, job)
  job.bytes = number(job.bytes)
  leave_queue(id, job)
  if not job.state then redis.call('ZREM', K.deadlines, id) end
end

-- Returns the job at a place; or nil when it can't be run, in which case it is gone now.
local function job_at(place)
  local id = string.match(place, '([^|]*)$')
  local job = look_at(id, place)
  local was_seen = seen_at
  seen_at = {}
  local is_there = job.state or redis.call('EXISTS', K.job .. id) == 1
  local flaw = is_there and flaw_in(job, TEXTS_CLAIMED, NUMBERS_CLAIMED)
  if not is_there or (job.state ~= 'queued' and (STATES[job.state] or FINAL[job.state])) then
    guarded(clear_place, id, job)
  elseif flaw or job.state ~= 'queued' then retire(id, flaw or 'nobody knows its state', place)
  elseif not is_path(job.path) and not is_of_other_protocol(job) then retire(id, 'it has no path', place)
  elseif not redis.call('ZSCORE', K.apis, job.api) then
    work_on(id, place, nil, end_queued, id, job, 'abandoned')
  elseif tonumber(job.wait_until_ms) <= now then
    work_on(id, place, nil, end_queued, id, job, 'expired')
  else
    seen_at = was_seen
    return id, job
  end
end

-- Of a user that has a turn, and waits for nothing: of a job that was damaged.
local function forget_turn(path)
  local tier, tenant, user = string.match(path, '^([^|]*)|([^|]*)|([^|]*)$')
  if not user then return end
  for _, class in ipairs(mine) do
    leave_turns({class = class, tier = tier, tenant = tenant, user = user})
  end
  seen_at = {}
  return true
end

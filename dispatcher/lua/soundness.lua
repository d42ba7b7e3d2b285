-- Reads a job, and tells whether it can be run, charged and ended; behind common.lua.

local STATES = {queued = true, running = true, lost = true}
local OPTIONAL = {'max_tenant_running', 'claimed_ms', 'cached_there', 'left_since_ms', 'seen_cost'}

-- What is wrong with these fields of a job, in words; nil where nothing is.
local function flaw_in(job, texts, numbers)
  for i = 1, #texts do
    local text = job[texts[i]]
    if not text or (text == '' and texts[i] ~= 'wants') then return 'it has no ' .. texts[i] end
  end
  for i = 1, #numbers + #OPTIONAL do
    local name = numbers[i] or OPTIONAL[i - #numbers]
    local found = tonumber(job[name])
    local is_number = found and found >= 0 and found <= LARGEST  -- nan is neither
    if not is_number and (job[name] or numbers[i]) then return 'its ' .. name .. ' is not a number' end
  end
  if not TIER_WEIGHTS[job.tier] then return 'nobody knows its tier' end
end

-- Whether its place says the same as its fields.
local function is_placed(id, job)
  local flow = table.concat({job.class, job.tier, job.tenant, job.user, ''}, '|')
  return string.sub(job.place, 1, #flow) == flow
      and string.match(string.sub(job.place, #flow + 1), '^%d+|(.*)$') == id
end

local function flaw_of(id, job)
  -- Made here, as some scripts never need them: what is made for each call adds up.
  local flaw = flaw_in(job, {'api', 'tenant', 'user', 'tier', 'class', 'place', 'state', 'wants'},
    {'weight', 'estimate', 'prompt_estimate', 'completion_estimate', 'bytes', 'enqueued_ms',
      'wait_until_ms', 'deadline_ms', 'attempts', 'max_attempts', 'crashes', 'max_crashes', 'generation'})
  if flaw then return flaw end
  if not STATES[job.state] and not FINAL[job.state] then return 'nobody knows its state' end
  if not is_placed(id, job) then return 'its place is not its own' end
  if job.state == 'running' and not (job.worker and job.attempt) then return 'nobody knows its worker' end
end

-- A job with all its fields, nil where there is none. One with a `flaw` can only be retired.
local function read_job(id)
  local pairs_ = try('HGETALL', K.job .. id)
  if not pairs_ then return {flaw = 'it is not a hash'} end
  if #pairs_ == 0 then return nil end
  local job = {}
  for i = 1, #pairs_, 2 do job[pairs_[i]] = pairs_[i + 1] end
  job.flaw = flaw_of(id, job)
  return job
end

-- The class, tier, tenant and user in a place; nil where it is none.
local function split_place(place)
  return string.match(place, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|')
end

local function sequence_of(place)
  return tonumber(string.match(place, '|(%d+)|[^|]*$'))
end

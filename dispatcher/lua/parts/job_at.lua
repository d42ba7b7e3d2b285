-- Jobs that a claim finds in the queue.
-- @include flaws
-- @include numbers
-- @include places
-- @include read_fields
-- @include read_place
-- @lazy is_used_up

-- What a claim needs to know of a job; the place tells the rest.
local CLAIMED = {'api', 'state', 'wants', 'weight', 'estimate', 'prompt_estimate',
  'completion_estimate', 'bytes', 'enqueued_ms', 'wait_until_ms', 'deadline_ms', 'attempts',
  'crashes', 'generation', 'max_tenant_running', 'prefers', 'cached_there', 'left_since_ms',
  'avoids', 'visible', 'supersedes', 'path', 'form', 'protocol', 'quota', 'trace'}
local TEXTS_CLAIMED = {'api', 'state', 'tier', 'wants'}
local NUMBERS_CLAIMED = {'weight', 'estimate', 'prompt_estimate', 'completion_estimate', 'bytes',
  'enqueued_ms', 'wait_until_ms', 'deadline_ms', 'attempts', 'crashes', 'generation'}

-- Neither its worker nor its api would understand the other.
local function is_of_other_protocol(job)
  return number(job.protocol) ~= PROTOCOL
end

local function lives(c, api)
  if c.live_apis[api] == nil then c.live_apis[api] = redis.call('ZSCORE', K.apis, api) end
  return c.live_apis[api]
end

-- Why a job can't be run: 'astray' (not queued), a state that it ends in, or a flaw in words; nil
-- where it can.
local function obstacle(c, job)
  if not job.state and redis.call('EXISTS', K.job .. job.id) == 0 then return 'astray' end
  if job.state ~= 'queued' and (STATES[job.state] or FINAL[job.state]) then return 'astray' end
  local flaw = flaw_in(job, TEXTS_CLAIMED, NUMBERS_CLAIMED)
  if flaw or job.state ~= 'queued' then return flaw or 'nobody knows its state' end
  if string.sub(job.path or '', 1, 1) ~= '/' and not is_of_other_protocol(job) then
    return 'it has no path'
  end
  if not lives(c, job.api) then return 'abandoned' end
  if tonumber(job.wait_until_ms) <= c.now then return 'expired' end
  if job.quota and is_used_up(c, job) then return 'limited' end
end

-- The job at a place, with its `obstacle`.
local function job_at(c, place)
  local class, tier, tenant, user, sequence, id = read_place(place)
  id = id or job_of(place)
  local job = read_hash(K.job .. id, CLAIMED, {id = id, place = place, class = class, tier = tier,
    tenant = tenant, user = user, sequence = tonumber(sequence)})
  job.obstacle = obstacle(c, job)
  return job
end

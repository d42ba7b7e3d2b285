-- @include add_charge
-- @include attempts
-- @include charges
-- @include classes
-- @include describe
-- @include forget_waiting
-- @include job_at
-- @include leave_together
-- @include move
-- @include suspects
-- @lazy forget_key

-- Whether something may speak for another worker, or for this one.
local function is_for_one(c, job)
  return job.prefers or job.avoids or is_suspect(c, job)
end

-- The oldest `most` jobs that wait; nil where one of them must be looked at in its turn. The jobs
-- themselves tell which worker they prefer.
local function first_jobs(c, most)
  local jobs, last = {}, most < queued(c) and most - 1 or most  -- one more shows that there is one
  for i, place in ipairs(redis.call('ZRANGE', K.queue, 0, last)) do
    local job = job_at(c, place)
    if not job.sequence or job.obstacle or is_of_other_protocol(job) or is_for_one(c, job)
        or tonumber(job.max_tenant_running or '0') > 0 then
      return nil
    end
    jobs[i] = job
  end
  table.sort(jobs, function(a, b) return a.sequence < b.sequence end)
  return #jobs == most and jobs or nil
end

-- The bodies that come with the claim, each false where it is read apart; nil where one is missing.
local function bodies_of(jobs)
  local keys = {}
  for i, job in ipairs(jobs) do keys[i] = K.body .. job.id end
  local bodies = redis.call('MGET', unpack(keys))
  for i, job in ipairs(jobs) do
    if tonumber(job.bytes) > SMALL_BODY_BYTES then bodies[i] = false
    elseif not bodies[i] then return nil end
  end
  return bodies
end

local function charge_all(c, jobs)
  local paths, sums = {}, {}
  for _, job in ipairs(jobs) do
    local cost = tonumber(job.estimate)
    for _, level in ipairs(levels(job)) do
      local path = level[4]
      if not sums[path] then paths[#paths + 1], sums[path] = path, {level[1], level[2], 0} end
      sums[path][3] = sums[path][3] + share(cost, level[3])
    end
  end
  read_charges(c, paths)
  for _, path in ipairs(paths) do
    local parent, child, amount = unpack(sums[path])
    add_charge(c, path, amount)
    move(c, parent, child, amount)
  end
end

local function begin(c, job)
  redis.call('HSET', K.job .. job.id, 'state', 'running', 'worker', c.worker,
    'attempt', job.attempt, 'claimed_ms', c.now, 'attempts', job.attempts + 1, 'accepted', 1)
  if job.supersedes then forget_key(job.id, job) end
end

-- Takes this many jobs, oldest first: all that wait, or the first of the only flow that waits.
-- Their turns make no difference then. Where some must be looked at in their turn, it returns false
-- and changes nothing.
local function take_together(c, most)
  local jobs = first_jobs(c, most)
  local bodies = jobs and bodies_of(jobs)
  if not bodies then return false end
  local running = {}
  for i, job in ipairs(jobs) do
    job.claimed_ms, job.attempt = c.now, c.nonce .. '-' .. i .. '-' .. (job.generation or '0')
    running[2 * i - 1], running[2 * i] = c.now, job.id .. ':' .. job.attempt
  end
  redis.call('ZADD', K.running .. c.worker, unpack(running))
  for i, job in ipairs(jobs) do
    begin(c, job)
    c.jobs[i] = describe(c, running[2 * i], job, bodies[i])
  end
  count(c, 'running', #jobs)
  if most == queued(c) then forget_waiting(c, jobs) else leave_together(c, jobs) end
  charge_all(c, jobs)
  return true
end

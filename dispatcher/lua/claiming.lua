-- Which jobs a worker gets: the least served tenant's first. Put in front of claim.lua and finish.lua,
-- whose arguments it reads; dispatcher/reference/choice.py makes the same choice in Python.

local FAN = 4                  -- of each level so many are looked at, where the first are left to others
local WIDE = 32                -- and so many where there is nothing else to do
local DEEP = 8                 -- and of a user's jobs
local QUANTUM = 500000         -- for its cache a worker passes over no more than this (cost per weight)
local SPAN = 2                 -- nor over jobs of the same user that are older by so many times the slots
local FAVOURITES = 8           -- jobs that prefer this worker and are looked at
local SMALL = 32768            -- bytes of a body that comes with its claim; larger ones are read apart

local nonce, heads, bound = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local is_fenced = about[1] ~= ARGV[2]

local function room(running)
  return about[3] == '1' and math.max(0, slots - running) or 0
end

local function describe(id, token, job)
  local body = tonumber(job.bytes) <= SMALL and redis.call('GET', K.body .. id)
  return {token, job.api, job.wants, digits(job.deadline_ms - now),
    digits(job.claimed_ms - job.enqueued_ms), job.class, body or ''}
end

-- The jobs that a call with the same nonce has taken: its reply was cut.
local function find_taken()
  local running = redis.call('ZRANGE', K.running .. worker, 0, -1)
  for _, token in ipairs(running) do
    local id, attempt = split_token(token)
    if string.sub(attempt, 1, #nonce + 1) == nonce .. '-' then
      local job = read_job(id)
      if job then jobs[#jobs + 1] = describe(id, token, job) end
    end
  end
  return #running
end

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
      if not seen[pairs_[i]] then found[#found + 1] = {pairs_[i], tonumber(pairs_[i + 1])} end
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

local function sequence_of(place)
  return tonumber(string.match(place, '|(%d+)|[^|]*$'))
end

-- Its class, tier, tenant and user.
local function split_place(place)
  return string.match(place, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|')
end

-- A user's oldest jobs, over all these classes, so many of each.
local function oldest_of(path, most)
  local places = {}
  for _, class in ipairs(mine) do
    local flow = class .. '|' .. path .. '|'
    local found = redis.call('ZRANGEBYLEX', K.queue, '[' .. flow, '(' .. flow .. '\255', 'LIMIT', 0, most)
    for _, place in ipairs(found) do places[#places + 1] = place end
  end
  if #mine > 1 then
    table.sort(places, function(a, b) return sequence_of(a) < sequence_of(b) end)
  end
  return places
end

-- What a claim needs to know of a job; the place tells the rest.
local function look_at(id, place)
  local job = read_fields(id, 'api', 'wants', 'weight', 'estimate', 'prompt_estimate',
    'completion_estimate', 'bytes', 'enqueued_ms', 'wait_until_ms', 'deadline_ms', 'attempts',
    'max_tenant_running', 'prefers', 'cached_there', 'left_since_ms', 'avoids', 'crashes', 'visible',
    'generation', 'supersedes')
    or {bytes = 0}
  job.place, job.class, job.tier, job.tenant, job.user = place, split_place(place)
  return job
end

-- Returns the job at a place; or nil when it can't be run, in which case it is gone now.
local function job_at(place)
  local id = string.match(place, '([^|]*)$')
  local job = look_at(id, place)
  local was_seen = seen_at
  seen_at = {}
  if not job.api then
    leave_queue(id, job)
    redis.call('ZREM', K.deadlines, id)
  elseif not redis.call('ZSCORE', K.apis, job.api) then end_queued(id, job, 'abandoned')
  elseif tonumber(job.wait_until_ms) <= now then end_queued(id, job, 'expired')
  else
    seen_at = was_seen
    return id, job
  end
end

-- The oldest jobs that prefer this worker, those of the least served tenants first.
local function favourites_in_turn()
  local places, rank = redis.call('ZRANGE', K.prefers .. worker, 0, FAVOURITES - 1), {}
  if #places < 2 then return places end
  for i, place in ipairs(places) do
    local _, tier, tenant = split_place(place)
    rank[place] = (FAN + 1) * #places + i
    for nth, row in ipairs(waiting_at(tier)) do
      if row[1] == tenant then rank[place] = math.min(rank[place], nth * #places + i) end
    end
  end
  table.sort(places, function(a, b) return rank[a] < rank[b] end)
  return places
end

-- Whether nobody is passed over for long if this job goes first.
local function is_near(place, class, tier, tenant, user)
  local path = tier .. '|' .. tenant
  local at, head = waiting_at('')[1], oldest_of(path .. '|' .. user, 1)[1]
  local first, own = waiting_at(tier)[1], redis.call('ZSCORE', turns(class, tier), tenant)
  local user_first, user_own = waiting_at(path)[1], redis.call('ZSCORE', turns(class, path), user)
  local span = SPAN * slots * redis.call('ZCARD', K.workers)
  return at and at[1] == tier and own and user_own
      and own - first[2] <= QUANTUM and user_own - user_first[2] <= QUANTUM
      and sequence_of(place) - sequence_of(head) <= span
end

local looked = 0
-- Each of these returns a job's id and the job; true instead of the id when the queue has
-- changed and must be looked at anew; or nothing. `anyhow`: all others are left to others.
local function find_favourite(anyhow)
  for _, place in ipairs(favourites_in_turn()) do
    local class, tier, tenant, user = split_place(place)
    if can_take(class, worker) and redis.call('ZSCORE', turns(class, tier), tenant)
        and (anyhow or is_near(place, class, tier, tenant, user)) then
      local id, job = job_at(place)
      return id or true, job
    end
  end
end

-- The oldest job of a user that is not left to others. A slow worker looks for the one that loses least,
-- of equals the last: the older ones will find a fast worker before.
local function find_of_user(path)
  local best, best_job, least
  -- Most often the first is taken, and the second tells that there are more.
  local is_short = not is_slow and #mine == 1
  local places, i = oldest_of(path, is_short and 2 or DEEP), 1
  while places[i] and looked < heads do
    looked = looked + 1
    local id, job = job_at(places[i])
    if not id then return true end
    local loss = loss_of(job)
    if (not least or loss <= least) and not is_left(id, job, loss) then
      best, best_job, least = id, job, loss
      job.is_followed = #mine == 1 and #places > 1
      if not is_slow then break end
    end
    if is_short and i == 2 then places = oldest_of(path, DEEP) end
    i = i + 1
  end
  return best, best_job
end

local function find_fair(most)
  for _, tier in ipairs(waiting_at('')) do
    for _, tenant in ipairs(waiting_at(tier[1], most)) do
      local path = tier[1] .. '|' .. tenant[1]
      for _, user in ipairs(waiting_at(path, most)) do
        local id, job = find_of_user(path .. '|' .. user[1])
        if id or looked >= heads then return id, job end
      end
    end
  end
end

local function take(id, job)
  job.claimed_ms = now
  local attempt = nonce .. '-' .. #jobs + 1 .. '-' .. (job.generation or '0')
  local token = id .. ':' .. attempt
  charge(job, 0, job.estimate)
  leave_queue(id, job)
  seen_at, most_urgent = {}, nil
  redis.call('HSET', K.job .. id, 'state', 'running', 'worker', worker, 'attempt', attempt,
    'claimed_ms', digits(now), 'attempts', job.attempts + 1, 'accepted', 1)
  begin_running(worker, token, job, now)
  runs_suspect = runs_suspect or is_suspect(job)
  jobs[#jobs + 1] = describe(id, token, job)
end

-- Takes as many jobs as are wanted where `running` run already. Returns the free slots that
-- are left, and whether it took all it wanted.
local function take_jobs(running)
  runs = running
  local free = room(running)
  local wanted = math.min(tonumber(ARGV[3]), free)
  local left = bound > 0 and bound - tonumber(redis.call('HGET', K.counters, 'running') or '0')
  local capped = left and left < wanted
  if capped then
    wanted = math.max(0, left)
    redis.call('HSET', K.counters, 'capped', 1)
  end
  if wanted > 0 then
    for _, class in ipairs(all_classes()) do
      if can_take(class, worker) then mine[#mine + 1] = class end
    end
  end
  while #jobs < wanted do
    local id, job = find_favourite(false)
    if not id then id, job = find_fair(FAN) end
    if not id then id, job = find_favourite(true) end
    if not id then id, job = find_fair(WIDE) end
    if not id then break end
    if job then take(id, job) end
  end
  if running == 0 and #jobs > 0 then redis.call('PEXPIRE', K.running .. worker, WORKER_TTL_MS) end
  -- Who leaves jobs to others calls those, by their own bells: it would get the shared one itself.
  for other in pairs(called) do ring_worker(other) end
  local is_filled = not capped and #jobs == wanted
  return free - #jobs, is_filled
end

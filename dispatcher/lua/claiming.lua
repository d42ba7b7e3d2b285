-- Which jobs a worker gets: the least served tenant's first. Put in front of claim.lua and finish.lua,
-- whose arguments it reads; dispatcher/reference/choice.py makes the same choice in Python.

local QUANTUM = 500000         -- for its cache a worker passes over no more than this (cost per weight)
local SPAN = 2                 -- nor over jobs of the same user that are older by so many times the slots
local FAVOURITES = 8           -- jobs that prefer this worker and are looked at
local MOST_CLAIMED = 64        -- jobs of one call; the ring that it passes on calls for the others
local SMALL = 32768            -- bytes of a body that comes with its claim; larger ones are read apart

local nonce, heads, bound = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local is_fenced = about[1] ~= ARGV[2]

local function room(running)
  return about[3] == '1' and math.max(0, slots - running) or 0
end

local function describe(id, token, job)
  local body = tonumber(job.bytes) <= SMALL and redis.call('GET', K.body .. id)
  return {token, job.api, job.wants, digits(job.deadline_ms - now),
    digits(job.claimed_ms - job.enqueued_ms), job.class, job.path or '', body or ''}
end

-- The jobs that a call with the same nonce has taken: its reply was cut.
local function find_taken()
  local running = redis.call('ZRANGE', K.running .. worker, 0, -1)
  for _, token in ipairs(running) do
    local id, attempt = split_token(token)
    if attempt and string.sub(attempt, 1, #nonce + 1) == nonce .. '-' then
      local job = read_job(id)
      if job and not job.flaw then jobs[#jobs + 1] = describe(id, token, job) end
    end
  end
  return #running
end

-- The oldest jobs that prefer this worker, those of the least served tenants first.
local function favourites_in_turn()
  local places, rank = {}, {}
  for _, place in ipairs(redis.call('ZRANGE', K.prefers .. worker, 0, FAVOURITES - 1)) do
    if sequence_of(place) and split_place(place) then places[#places + 1] = place end
  end
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
  return at and head and first and user_first and at[1] == tier and own and user_own
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
      if not id or not is_of_other_protocol(job) then return id or true, job end
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
  if #places == 0 then return forget_turn(path) end
  while places[i] and looked < heads do
    looked = looked + 1
    local id, job = job_at(places[i])
    if not id then return true end
    local loss = loss_of(job)
    if (not least or loss <= least) and not is_of_other_protocol(job) and not is_left(id, job, loss) then
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
  redis.call('HSET', K.job .. id, 'state', 'running', 'worker', worker, 'attempt', attempt,
    'claimed_ms', digits(now), 'attempts', job.attempts + 1, 'accepted', 1)
  begin_running(worker, token, job, now)
  runs_suspect = runs_suspect or is_suspect(job)
  jobs[#jobs + 1] = describe(id, token, job)
end

-- What a claim answers, with the jobs behind it.
local function answer_with(free, again_ms)
  local answer = {'OK', free, again_ms}
  for _, job in ipairs(jobs) do answer[#answer + 1] = job end
  return answer
end

-- Takes as many jobs as are wanted where `running` run already. Returns the free slots that
-- are left, and whether it took all it wanted.
local function take_jobs(running)
  runs = running
  local free = room(running)
  local wanted = math.min(tonumber(ARGV[3]), free, MOST_CLAIMED)
  local left = bound > 0 and bound - number(redis.call('HGET', K.counters, 'running'))
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
    if job then work_on(id, job.place, nil, take, id, job) end
    seen_at, most_urgent = {}, nil
  end
  if running == 0 and #jobs > 0 then redis.call('PEXPIRE', K.running .. worker, WORKER_TTL_MS) end
  -- Who leaves jobs to others calls those, by their own bells: it would get the shared one itself.
  for other in pairs(called) do ring_worker(other) end
  local is_filled = not capped and #jobs == wanted
  return free - #jobs, is_filled
end

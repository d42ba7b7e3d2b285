-- release: the attempt failed for a reason that is not the job's; give the job back.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker  2 epoch  3 attempt id
--          4 toll: what it costs the job: nothing, setback, attempt, or crash (an attempt, and a
--            server)
--          5 error as JSON: what the client is told if nobody else may try
--          6 class: what it has been found to need of its worker ('': as before)
--          7 refusal: a hash of what the server said, where that may be the job's fault ('': it is
--            not)
--          8, 9, 10 prompt tokens, cached ones of these, and completion tokens that it has used
-- Returns  {'OK', verdict, name, …}  what became of the job: revoked (queued again), lost, failed,
--                           expired, cancelled, abandoned; gone: the attempt is not, or no longer,
--                           this worker's (a call repeated after its reply was cut); nobody: no
--                           live worker has what the job needs; twice: it got this refusal before,
--                           from another worker or the only one there is, which is its answer. In
--                           the last three cases nothing was changed. After a crash, the names of
--                           those who are under suspicion from now on: tenant|user
--          {'FENCED'}       register again; nothing was changed
-- @include attempts
-- @lazy blame
-- @include call
-- @include can_take
-- @include gone
-- @include is_full
-- @include is_registered
-- @include now_ms
-- @include recover
-- @include suspects
-- @include taken
-- @include registration
local worker, epoch, attempt_id, toll, failure, class, refusal = unpack(ARGV, 1, 7)
local id = split_attempt_id(attempt_id)
if not is_registered(worker, epoch) then return {'FENCED'} end

local function somebody_can_take()
  for _, other in ipairs(redis.call('ZRANGE', K.workers, 0, -1)) do
    if can_take(class, other) then return true end
  end
end

local function another_accepts(of_class)
  for _, other in ipairs(redis.call('ZRANGE', K.workers, 0, -1)) do
    local accepts = other ~= worker and fields_of(K.worker .. other, 'accepting')[1] == '1'
    if accepts and can_take(of_class, other) then return true end
  end
end

local function is_refused_again()
  if refusal == '' then return false end
  local before = fields_of(K.job .. id, 'refusal', 'refused_by', 'class')
  if before[1] ~= refusal then return false end
  return before[2] ~= worker or not another_accepts(before[3] or 'any')
end

if class ~= '' and not somebody_can_take() then return {'OK', 'nobody'} end
if is_refused_again() then return {'OK', 'twice'} end

local suspected = {}

-- Two crashes end a job, unless a suspect was there at the second: it was rather that one's.
local function note_crash_of(job)
  local is_others
  suspected, is_others = blame(c, worker, job)
  -- Else a suspect whose jobs crash at once would always be the least served.
  if suspected_as(c, job.tenant, job.user) then c.crash_cost = CRASH_COST end
  if is_others and job.crashes + 1 >= tonumber(job.max_crashes) then return end
  redis.call('HINCRBY', K.job .. id, 'crashes', 1)
end

local function note_what_failed()
  local job = read_job(id)
  if not job or job.flaw then return end
  local costs_attempt = toll == 'attempt' or toll == 'crash'
  if not costs_attempt then redis.call('HINCRBY', K.job .. id, 'attempts', -1) end
  if toll == 'setback' then redis.call('HINCRBY', K.job .. id, 'setbacks', 1) end
  if toll == 'crash' then note_crash_of(job) end
  if refusal ~= '' then
    redis.call('HSET', K.job .. id, 'refusal', refusal, 'refused_by', worker)
  end
  if costs_attempt then redis.call('HSET', K.job .. id, 'avoids', worker) end
  if class ~= '' then
    local place = class .. string.sub(job.place, #job.class + 1)
    redis.call('HSET', K.job .. id, 'class', class, 'place', place)
  end
end

local function release()
  local was_full = is_full(worker) or side_places_taken(worker) >= SIDE_PLACES
  if not take_off(worker, attempt_id) then return {'OK', 'gone'} end
  if was_full then ring_worker(worker) end
  c.now = now_ms()
  note_what_failed()
  local used = {prompt = number(ARGV[8]), cached = number(ARGV[9]), completion = number(ARGV[10])}
  local verdict = recover(c, attempt_id, failure, used)
  if fields_of(K.worker .. worker, 'health')[1] == 'draining' then count_gone(worker, verdict) end
  return {'OK', verdict, unpack(suspected)}
end

return conduct(release)

-- renew: the bridge lives, this is its state, these are the attempts that still move.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker  2 epoch  3 lease ms  4 slots  5 accepting (1 or 0)
--          6 grace ms: an attempt younger than this may be missing (its claim is still on the way)
--          7 number of pairs of field and value that follow; after them pairs: the id of an attempt
--          that is held, and what it has cost so far ('': another call looks at it)
-- Returns  {'FENCED'}                       register again
--          {'OK', now, drained, {foreign, …}, {unwanted, …}, {orphaned, …}, api, version, …}  the
--            time (Unix s); 1 where an operator has drained the worker, else 0; ids of attempts
--            that are not, or no longer, this worker's; of those whose client has gone; of those
--            whose api was taken for dead; the live apis of another protocol, as of register
-- @include call
-- @include is_registered
-- @include look_at_held
-- @include protocols
-- @include attempts
-- @include bells
-- @include registration
-- @include take_off
-- @include write_worker
-- @lazy recover
local worker, epoch, lease_ms, slots, accepting, grace_ms, facts = unpack(ARGV, 1, 7)
c.now = now_ms()
if not is_registered(worker, epoch) then return {'FENCED'} end
local first_held = 8 + facts * 2
-- It is the end of a loop: an invited machine may say anything.
if not (first_held >= 8 and first_held <= #ARGV + 1) then error('its facts are not complete', 0) end

local function write_state()
  local before = fields_of(K.worker .. worker, 'slots', 'accepting', 'drained')
  if before[3] then accepting = '0' end
  extend_lease(worker, c.now + lease_ms)
  write_worker(c, worker, slots, accepting, 8, first_held - 1)
  local has_more = before[2] ~= '1' or tonumber(slots) > number(before[1])
  if accepting == '1' and has_more then ring_worker(worker) end
  return before[3] and 1 or 0
end

-- What the bridge does not name it has lost.
local function recover_missing(held)
  local is_named, oldest, recovered = {}, c.now - grace_ms, 0
  for _, attempt_id in ipairs(held) do is_named[attempt_id] = true end
  -- Of those that need no slot the scores are negative (parts/taken.lua).
  local overdue = redis.call('ZRANGEBYSCORE', K.running .. worker, 0 - oldest, oldest)
  for _, attempt_id in ipairs(overdue) do
    if not is_named[attempt_id] and recovered < MOST_RECOVERED then
      recovered = recovered + 1
      take_off(worker, attempt_id)
      ring_worker(worker)
      recover(c, attempt_id, '{"code":"worker_failed","message":"The worker lost the job."}')
    end
  end
end

local function renew()
  local is_drained = write_state()
  local foreign, unwanted, orphaned, held = look_at_held(c, worker, first_held)
  recover_missing(held)
  redis.call('PEXPIRE', K.running .. worker, WORKER_TTL_MS)
  return {'OK', c.now / 1000, is_drained, foreign, unwanted, orphaned, unpack(other_apis())}
end

return conduct(renew)

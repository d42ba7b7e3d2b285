-- renew: the bridge lives, this is its state, these are the attempts that still move.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker  2 epoch  3 lease ms  4 slots  5 accepting (1 or 0)
--          6 grace ms: an attempt younger than this may be missing (its claim is still on the way)
--          7 number of pairs of field and value that follow; behind them pairs of a token that is
--          held and what it has cost so far ('': another call looks at it)
-- Returns  {'FENCED'}                       register again
--          {'OK', now, drained, {token, …}, {token, …}, {token, …}}  the time (Unix s); 1 where an
--                                           operator has drained the worker, else 0; those that are
--                                           not, or no longer, this worker's; those whose client
--                                           has gone; and those whose api was taken for dead.
--                                           Behind them the live apis that speak another protocol,
--                                           as register names them
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
  for _, token in ipairs(held) do is_named[token] = true end
  -- Of those that need no slot the scores are negative (parts/taken.lua).
  local overdue = redis.call('ZRANGEBYSCORE', K.running .. worker, 0 - oldest, oldest)
  for _, token in ipairs(overdue) do
    if not is_named[token] and recovered < MOST_RECOVERED then
      recovered = recovered + 1
      take_off(worker, token)
      ring_worker(worker)
      recover(c, token, '{"code":"worker_failed","message":"The worker lost the job."}')
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

-- cancel: nobody waits for these jobs any more.
-- KEYS[1]  the model's key prefix
-- ARGV     1… pairs of a job and what its client was shown (`Shown.text` of dispatcher/cost.py),
--          '' where nobody can tell
-- Returns  {state, …}  the state that each was in: queued or lost (now gone), running (its worker
--                      is told), a final state (nothing changed) or unknown. An unknown job is
--                      marked as cancelled: its enqueue may still be on the way. A damaged one has
--                      failed.
-- @include call
-- @include flaws
-- @include work_on
-- @lazy cancel_known
local function mark_cancelled(id)
  redis.call('HSET', K.job .. id, 'state', 'cancelled', 'cancelled', 1)
  redis.call('PEXPIRE', K.job .. id, DONE_TTL_MS)
  return 'unknown'
end

local function cancel(id, shown)
  -- Nobody will run it again; and a removal first passes at maxmemory.
  redis.call('DEL', K.body .. id)
  local state = fields_of(K.job .. id, 'state')[1]
  if not state and redis.call('EXISTS', K.job .. id) == 0 then return mark_cancelled(id) end
  if FINAL[state] then return state end
  return cancel_known(c, id, shown)
end

return conduct(function()
  local states = {}
  for i = 1, #ARGV, 2 do
    local id = ARGV[i]
    states[#states + 1] = work_on(c, id, nil, nil, cancel, id, ARGV[i + 1]) or 'failed'
  end
  return states
end)

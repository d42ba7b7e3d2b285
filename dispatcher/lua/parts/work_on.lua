-- @include guarded
-- @lazy retire

-- Does the work for one job, and retires it where that fails. Returns what the work returns, or
-- nil.
local function work_on(c, id, place, attempt_id, work, ...)
  local is_well, answer = guarded(c, work, ...)
  if is_well then return answer end
  retire(c, id, UNFIT, place, attempt_id)
  local fault = type(answer) == 'table' and answer.err or tostring(answer)
  set_counter(c, 'last_damage', id .. ': ' .. fault)
end

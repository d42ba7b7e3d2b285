-- @include counters
-- @include raise_refusal

-- Does the work for one job. Returns whether it went well, and what the work has returned. If only
-- half of it was done, the next reap counts again (recount.lua).
local function guarded(c, work, ...)
  local is_well, answer = pcall(work, ...)
  if not is_well then
    raise_refusal(answer)
    set_counter(c, 'recount', 1)
  end
  return is_well, answer
end

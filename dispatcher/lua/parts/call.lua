-- The call in progress, `c`: the first argument of all that reads or changes its state.
--   now                        Unix ms; the scripts that need it set it
--   known, added, changed      counters (counters.lua)
--   charged, has_charged       what running jobs are expected to cost (charges.lua)
--   classes, waiting, queued   what waits (classes.lua)
--   waits                      the flows that are known to wait (enter_turns.lua)
--   used                       what jobs that have ended used, by tenant and user (use.lua)
--   rung                       the classes that a worker was called for already (call_one.lua)
--   crash_cost                 what a suspect pays for a crash (release.lua)
--   entering                   jobs that enter the queue together (entering.lua)
-- @include counters
-- @include charges
-- @lazy write_usage

local c = {
  known = {}, added = {}, changed = {}, charged = {}, waits = {}, rung = {},
}

-- Does the work of a script, and writes what it has counted, also where it fails.
local function conduct(work, ...)
  local is_well, answer = pcall(work, ...)
  write_charges(c)
  write_counters(c)
  if c.used then write_usage(c) end
  if not is_well then error(answer, 0) end
  return answer
end

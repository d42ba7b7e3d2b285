-- look: looks at more of the attempts that a bridge holds than renew does in one call.
-- KEYS[1]  the model's key prefix
-- ARGV     1 worker  2 epoch  3… pairs: the id of an attempt that is held, what it has cost so far
-- Returns  {'FENCED'}  register again
--          {'OK', {foreign, …}, {unwanted, …}, {orphaned, …}}  as of renew
-- @include call
-- @include is_registered
-- @include look_at_held
-- @include registration
local worker, epoch = ARGV[1], ARGV[2]
if not is_registered(worker, epoch) then return {'FENCED'} end

return conduct(function()
  local foreign, unwanted, orphaned = look_at_held(c, worker, 3)
  return {'OK', foreign, unwanted, orphaned}
end)

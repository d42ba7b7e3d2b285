-- @include leave_turns

-- Forgets the turn of a user without waiting jobs: a damaged one has left it.
local function forget_turn(c, path)
  local tier, tenant, user = string.match(path, '^([^|]*)|([^|]*)|([^|]*)$')
  if not user then return nil end
  for _, class in ipairs(c.mine) do
    leave_turns(c, {class = class, tier = tier, tenant = tenant, user = user})
  end
  c.seen_turns = {}
  return CHANGED
end

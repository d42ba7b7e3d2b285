-- @include leave_turns

-- Of a user that has a turn, and waits for nothing: of a job that was damaged.
local function forget_turn(c, path)
  local tier, tenant, user = string.match(path, '^([^|]*)|([^|]*)|([^|]*)$')
  if not user then return nil end
  for _, class in ipairs(c.mine) do
    leave_turns(c, {class = class, tier = tier, tenant = tenant, user = user})
  end
  c.seen_turns = {}
  return CHANGED
end

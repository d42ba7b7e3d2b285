-- @include is_side

-- The counter of the running jobs of a class.
local function running_of(class)
  return is_side(class) and 'sides_running' or 'running'
end

-- @include call_one
-- @include classes
-- @include is_side

-- Calls one bridge for each class that waits. `of_sides` true: only for those that need no slot;
-- false: only for all others; nil: for each.
local function call_all(c, of_sides)
  for _, class in ipairs(all_classes(c)) do
    if of_sides == nil or is_side(class) == of_sides then call_one(c, class) end
  end
end

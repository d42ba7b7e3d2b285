-- @include call_one
-- @include classes
-- @include is_side

-- One bridge for each class that waits: only for those that need no slot, or only for all others,
-- where `of_sides` is given.
local function call_all(c, of_sides)
  for _, class in ipairs(all_classes(c)) do
    if of_sides == nil or is_side(class) == of_sides then call_one(c, class) end
  end
end

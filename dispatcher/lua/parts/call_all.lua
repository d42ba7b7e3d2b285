-- @include call_one
-- @include classes

-- One bridge for each class that waits.
local function call_all(c)
  for _, class in ipairs(all_classes(c)) do call_one(c, class) end
end

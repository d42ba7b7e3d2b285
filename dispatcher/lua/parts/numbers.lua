-- Numbers as Redis keeps them.

-- Numbers go to Redis as digits: 1e+15 would be a string that nothing can parse.
local function digits(number)
  return string.format('%.0f', number)
end

-- The number in a field; `otherwise`, or 0, where it has none. What one worker or job says badly
-- must not fail the others.
local function number(field, otherwise)
  local found = tonumber(field or nil)
  if found and found >= -2 ^ 53 and found <= 2 ^ 53 then return found end
  return otherwise or 0
end

-- Numbers as Redis keeps them.

-- A number as a part of an answer or of a longer text, where Lua would write 1e+15. What
-- `redis.call` gets as a number Redis writes in digits itself.
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

-- @include bells
-- @lazy call_capable

-- Calls one bridge that may take jobs of a class. The shared bells are only for what all may take:
-- one that may not would have to pass its ring on, and would get it again.
local function call_one(c, class)
  if c.rung[class] then return end
  c.rung[class] = true
  if class == 'any' then ring(K.bell)
  elseif class == 'side' then ring(K.side_bell)
  else call_capable(class) end
end

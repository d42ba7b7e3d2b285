-- Whether jobs of a class need no slot: the HTTP thread of their server answers them. The word for
-- that is a class's first (dispatcher/needs.py).
local function is_side(class)
  return class == 'side' or string.sub(class, 1, 5) == 'side,'
end

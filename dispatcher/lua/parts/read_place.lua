-- The class, tier, tenant, user, sequence and job in a place (places.lua); nil where it is none.
-- One match is cheaper than several.
local function read_place(place)
  return string.match(place, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|(%d+)|([^|]*)$')
end

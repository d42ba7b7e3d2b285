-- @include charges

local function charged_of(c, path)
  if not c.charged[path] then read_charges(c, {path}) end
  return c.charged[path]
end

local function add_charge(c, path, amount)
  c.charged[path], c.has_charged = charged_of(c, path) + amount, true
end

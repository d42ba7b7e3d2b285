-- What running jobs are expected to cost, by path. A call reads each once, and writes what it has
-- changed at its end.
-- @include counters
-- @include levels

local function read_charges(c, paths)
  local unknown = {}
  for _, path in ipairs(paths) do
    if not c.charged[path] then unknown[#unknown + 1] = path end
  end
  if #unknown == 0 then return end
  local found = fields_of(K.charged, unpack(unknown))
  for i, path in ipairs(unknown) do
    local cost = tonumber(found[i] or '0')
    if not cost then set_counter(c, 'recount', 1) end
    c.charged[path] = number(cost)
    c.charged_before[path] = cost
  end
end

local function charged_of(c, path)
  if not c.charged[path] then read_charges(c, {path}) end
  return c.charged[path]
end

local function add_charge(c, path, amount)
  c.charged[path] = charged_of(c, path) + amount
end

local function read_charges_of(c, job)
  local paths = {}
  for i, level in ipairs(levels(job)) do paths[i] = level[4] end
  read_charges(c, paths)
end

local function write_charges(c)
  local kept, gone = {}, {}
  for path, cost in pairs(c.charged) do
    if cost ~= c.charged_before[path] then
      if cost == 0 then gone[#gone + 1] = path
      else kept[#kept + 1], kept[#kept + 2] = path, cost end
      c.charged_before[path] = cost
    end
  end
  for i = 1, #gone, PIECE do
    redis.call('HDEL', K.charged, unpack(gone, i, math.min(i + PIECE - 1, #gone)))
  end
  for i = 1, #kept, PIECE do
    redis.call('HSET', K.charged, unpack(kept, i, math.min(i + PIECE - 1, #kept)))
  end
end

-- The counters of the model. A call reads each once, and writes what it has changed at its end.
-- @include numbers
-- @include tolerant

local function read_counters(c, ...)
  local found = fields_of(K.counters, ...)
  for i, name in ipairs({...}) do c.known[name] = found[i] or false end
end

local function counter(c, name)
  if c.known[name] == nil then read_counters(c, name) end
  return c.known[name]
end

local function set_counter(c, name, value)
  c.known[name], c.changed[name] = value, true
end

local function count(c, name, by)
  c.added[name] = (c.added[name] or 0) + by
end

-- A number among the counters, with what this call has added to it.
local function counted(c, name)
  return number(counter(c, name)) + (c.added[name] or 0)
end

local function write_counters(c)
  for name, by in pairs(c.added) do
    if by ~= 0 then set_counter(c, name, counted(c, name)) end
  end
  local written, n = {}, 0
  for name in pairs(c.changed) do
    written[n + 1], written[n + 2] = name, c.known[name]
    n = n + 2
  end
  if n > 0 then redis.call('HSET', K.counters, unpack(written)) end
  c.added, c.changed = {}, {}
end

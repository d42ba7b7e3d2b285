-- The classes of jobs that wait, and how many jobs of each. A call reads them once.
-- @include is_side

local function read_classes(c)
  local rows = redis.call('ZRANGE', K.classes, 0, -1, 'WITHSCORES')
  c.classes, c.waiting, c.queued = {}, {}, 0
  for i = 1, #rows, 2 do
    local class, jobs = rows[i], tonumber(rows[i + 1])
    c.classes[#c.classes + 1], c.waiting[class] = class, jobs
    c.queued = c.queued + jobs
  end
end

local function all_classes(c)
  if not c.classes then read_classes(c) end
  return c.classes
end

-- How many jobs wait.
local function queued(c)
  if not c.classes then read_classes(c) end
  return c.queued
end

local function queued_for_slots(c)
  local jobs = queued(c)
  for class, waiting in pairs(c.waiting) do
    if is_side(class) then jobs = jobs - waiting end
  end
  return jobs
end

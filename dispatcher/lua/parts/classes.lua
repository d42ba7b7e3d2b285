-- The classes of jobs that wait, and how many jobs of each. A call reads them once.

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

local function enter_class(c, class)
  local list = all_classes(c)
  redis.call('ZINCRBY', K.classes, 1, class)
  if not c.waiting[class] then list[#list + 1] = class end
  c.waiting[class] = (c.waiting[class] or 0) + 1
  c.queued = c.queued + 1
end

local function leave_class(c, class)
  if tonumber(redis.call('ZINCRBY', K.classes, -1, class)) <= 0 then
    redis.call('ZREM', K.classes, class)
    c.classes = nil
  elseif c.classes then
    c.waiting[class], c.queued = (c.waiting[class] or 1) - 1, c.queued - 1
  end
end

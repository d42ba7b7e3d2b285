-- @include classes

local function enter_class(c, class)
  local list = all_classes(c)
  redis.call('ZINCRBY', K.classes, 1, class)
  if not c.waiting[class] then list[#list + 1] = class end
  c.waiting[class] = (c.waiting[class] or 0) + 1
  c.queued = c.queued + 1
end

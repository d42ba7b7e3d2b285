-- @include classes

local function leave_class(c, class)
  if tonumber(redis.call('ZINCRBY', K.classes, -1, class)) <= 0 then
    redis.call('ZREM', K.classes, class)
    c.classes = nil
  elseif c.classes then
    c.waiting[class], c.queued = (c.waiting[class] or 1) - 1, c.queued - 1
  end
end

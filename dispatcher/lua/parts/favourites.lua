-- Places of jobs that prefer the worker that claims, oldest first. Where there are none, none come
-- while the claim lasts.
local function favourites(c)
  if not c.favourites or #c.favourites > 0 then
    c.favourites = redis.call('ZRANGE', K.prefers .. c.worker, 0, FAVOURITES - 1)
  end
  return c.favourites
end

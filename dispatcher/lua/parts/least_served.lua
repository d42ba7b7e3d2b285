-- What the least served of those that wait at a level had.
local function least_served(parent)
  return tonumber(redis.call('ZRANGE', K.served .. parent, 0, 0, 'WITHSCORES')[2])
end

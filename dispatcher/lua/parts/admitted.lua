-- The requests that a tenant has begun, or an end user of it: '' is the tenant with all of them.
-- @include numbers

local function requests_key(user)
  return user == '' and K.requests or K.requests_of .. user
end

local function open_key(user)
  return user == '' and K.open or K.open_of .. user
end

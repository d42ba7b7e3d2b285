-- Which apis speak another protocol (dispatcher/protocol.py).
-- @include numbers
-- @include tolerant

local protocols = {}
local function protocol_of(api)
  protocols[api] = protocols[api] or number(fields_of(K.api .. api, 'protocol')[1])
  return protocols[api]
end

-- Live apis and their versions, one after the other.
local function other_apis()
  local others = {}
  for _, api in ipairs(redis.call('ZRANGE', K.apis, 0, MOST_NAMED - 1)) do
    if protocol_of(api) ~= PROTOCOL then
      others[#others + 1], others[#others + 2] = api, protocol_of(api)
    end
  end
  return others
end

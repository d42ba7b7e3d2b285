-- @include can_take

-- The process of a worker; read once in a call.
local function process_of(c, worker)
  if c.processes[worker] == nil then
    c.processes[worker] = fields_of(K.worker .. worker, 'process')[1]
  end
  return c.processes[worker]
end

-- The worker that has the longest known beginning of the conversation in its cache, and still runs;
-- and how many tokens.
local function find_preferred(c, class, beginnings)
  local names = {}
  for name in string.gmatch(beginnings, '%S+') do
    if #names < BEGINNINGS then names[#names + 1] = K.prefix .. name end
  end
  if #names == 0 then return nil end
  for _, found in ipairs(redis.call('MGET', unpack(names))) do
    local worker, tokens, process = string.match(found or '', '^(%S+) (%d+) (.*)$')
    if worker and process_of(c, worker) == process and can_take(class, worker) then
      return worker, tokens
    end
  end
end

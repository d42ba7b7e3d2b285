-- @include can_take

-- The process of a worker; read once in a call.
local function process_of(c, worker)
  if c.processes[worker] == nil then
    c.processes[worker] = fields_of(K.worker .. worker, 'process')[1]
  end
  return c.processes[worker]
end

-- How many tokens of a conversation a worker that remembers this need not evaluate. A request that
-- is the same, or only has the same name, begins as the first one did; it does not go on.
local function tokens_there(nth, name, prompt_tokens, completion_tokens)
  if nth == 1 or string.sub(name, 1, #KEYED) == KEYED then return tonumber(prompt_tokens) end
  return prompt_tokens + completion_tokens
end

-- The worker that has the longest known beginning of the conversation in its cache and still runs,
-- and how many tokens. A few are worth nothing: a request of the same few words need not wait.
local function find_preferred(c, class, beginnings)
  local names, keys = {}, {}
  for name in string.gmatch(beginnings, '%S+') do
    if #names < BEGINNINGS then names[#names + 1], keys[#keys + 1] = name, K.prefix .. name end
  end
  if #names == 0 then return nil end
  for nth, found in ipairs(redis.call('MGET', unpack(keys))) do
    local worker, prompt, completion, process =
      string.match(found or '', '^(%S+) (%d+) (%d+) (.*)$')
    if worker and process_of(c, worker) == process and can_take(class, worker) then
      local tokens = tokens_there(nth, names[nth], prompt, completion)
      if tokens <= FEW_TOKENS then return nil end
      return worker, tokens
    end
  end
end

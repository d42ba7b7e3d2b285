-- @include can_take

-- The worker that has the longest known beginning of the conversation in its cache, and still runs;
-- and how many tokens. The names of the beginnings are the arguments from `first` on.
local function find_preferred(class, first)
  if #ARGV < first then return nil end
  local names, last = {}, math.min(#ARGV, first + BEGINNINGS - 1)
  for i = first, last do names[#names + 1] = K.prefix .. ARGV[i] end
  for _, found in ipairs(redis.call('MGET', unpack(names))) do
    local worker, tokens, process = string.match(found or '', '^(%S+) (%d+) (.*)$')
    if worker and fields_of(K.worker .. worker, 'process')[1] == process
        and can_take(class, worker) then
      return worker, tokens
    end
  end
end

-- Whether a job can be run, charged and ended.

local STATES = {queued = true, running = true, lost = true}
local FINAL = {done = true, rejected = true, failed = true, cancelled = true, expired = true,
               superseded = true, dropped = true, abandoned = true}
local OPTIONAL = {'max_tenant_running', 'claimed_ms', 'cached_there', 'left_since_ms', 'seen_cost'}

-- What is wrong with these fields of a job, in words; nil where nothing is.
local function flaw_in(job, texts, numbers)
  for i = 1, #texts do
    local text = job[texts[i]]
    if not text or (text == '' and texts[i] ~= 'wants') then return 'it has no ' .. texts[i] end
  end
  for i = 1, #numbers + #OPTIONAL do
    local name = numbers[i] or OPTIONAL[i - #numbers]
    local found = tonumber(job[name])
    local is_number = found and found >= 0 and found <= LARGEST  -- nan is neither
    if not is_number and (job[name] or numbers[i]) then
      return 'its ' .. name .. ' is not a number'
    end
  end
  if not TIER_WEIGHTS[job.tier] then return 'nobody knows its tier' end
end

-- Whether its place says the same as its fields.
local function is_placed(id, job)
  local flow = table.concat({job.class, job.tier, job.tenant, job.user, ''}, '|')
  return string.sub(job.place, 1, #flow) == flow
      and string.match(string.sub(job.place, #flow + 1), '^%d+|(.*)$') == id
end

-- Whether a job can be run, charged and ended.

local STATES = {queued = true, running = true, lost = true}
local FINAL = {done = true, rejected = true, failed = true, cancelled = true, expired = true,
               superseded = true, dropped = true, abandoned = true, limited = true}
local OPTIONAL = {'max_tenant_running', 'claimed_ms', 'cached_there', 'left_since_ms', 'seen_cost'}

-- What is wrong with these fields of a job, in words; nil where nothing is.
local function flaw_in(job, texts, numbers)
  for i = 1, #texts do
    local text = job[texts[i]]
    if not text or (text == '' and texts[i] ~= 'wants') then return 'it has no ' .. texts[i] end
  end
  for i = 1, #numbers do
    local found = tonumber(job[numbers[i]])
    if not (found and found >= 0 and found <= LARGEST) then  -- nan is neither
      return 'its ' .. numbers[i] .. ' is not a number'
    end
  end
  for i = 1, #OPTIONAL do
    local text = job[OPTIONAL[i]]
    local found = text and tonumber(text)
    if text and not (found and found >= 0 and found <= LARGEST) then
      return 'its ' .. OPTIONAL[i] .. ' is not a number'
    end
  end
  if not TIER_WEIGHTS[job.tier] then return 'nobody knows its tier' end
end

-- @include numbers
-- @include tolerant

-- Whether a worker meets the needs of a class (`Needs.met_by`).
local function can_take(class, worker)
  if class == 'any' or class == 'side' then return true end
  local about = fields_of(K.worker .. worker, 'context', 'fingerprint', 'modalities', 'endpoints')
  local able = ',' .. (about[3] or '') .. ',' .. (about[4] or '') .. ','
  for need in string.gmatch(class, '[^,]+') do
    local above = string.match(need, '^context>(%d+)$')
    local fingerprint = string.match(need, '^build=(.*)$')
    if above then
      if number(about[1]) <= tonumber(above) then return false end
    elseif fingerprint then
      if about[2] ~= fingerprint then return false end
    elseif need ~= 'side' and not string.find(able, ',' .. need .. ',', 1, true) then
      return false
    end
  end
  return true
end

-- Redis refuses all work for now: that is no job's fault, and the caller tries again.
local function raise_refusal(fault)
  local text = type(fault) == 'table' and fault.err or tostring(fault)
  for _, word in ipairs(REFUSALS) do
    if string.find(text, word, 1, true) then error(fault, 0) end
  end
end

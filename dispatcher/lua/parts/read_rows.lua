-- The arguments from `first` on, as rows of the values of these fields.
local function read_rows(fields, first)
  local rows = {}
  for at = first, #ARGV, #fields do
    local row = {}
    for i, name in ipairs(fields) do row[name] = ARGV[at + i - 1] end
    rows[#rows + 1] = row
  end
  if (#ARGV - first + 1) % #fields ~= 0 then error('the last row is not complete', 0) end
  return rows
end

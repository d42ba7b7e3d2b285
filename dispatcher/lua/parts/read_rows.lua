-- The arguments from `first` on as rows of `width` values, each made by `row_at`.
local function read_rows(first, width, row_at)
  local rows = {}
  for at = first, #ARGV, width do rows[#rows + 1] = row_at(ARGV, at) end
  if (#ARGV - first + 1) % width ~= 0 then error('the last row is not complete', 0) end
  return rows
end

-- What was used, as Redis keeps it: 'requests=2 prompt=30 cached=9 completion=12 slot_ms=800'. That
-- of a tenant on one day also tells how many of its end users are counted by themselves.
-- @include numbers

local USED = {'requests', 'prompt', 'cached', 'completion', 'slot_ms'}

local function read_usage(text)
  local row = {}
  for _, name in ipairs(USED) do row[name] = 0 end
  for name, value in string.gmatch(text or '', '([%l_]+)=(%d+)') do row[name] = number(value) end
  return row
end

local function usage_text(row)
  local words = {}
  for i, name in ipairs(USED) do
    words[i] = name .. '=' .. digits(math.max(0, row[name]))
  end
  if row.users then words[#words + 1] = 'users=' .. digits(row.users) end
  return table.concat(words, ' ')
end

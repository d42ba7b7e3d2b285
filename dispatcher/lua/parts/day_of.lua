-- The UTC day of a time in Unix ms, as '2026-11-27': scripts have no os.date. Years are counted
-- from March, so that the day that only some of them have is their last.
local function day_of(ms)
  local days = math.floor(ms / 86400000) + 719468  -- since the first of March of the year 0
  local era = math.floor(days / 146097)
  local day = days - era * 146097
  local year = math.floor((day - math.floor(day / 1460) + math.floor(day / 36524)
    - math.floor(day / 146096)) / 365)
  day = day - 365 * year - math.floor(year / 4) + math.floor(year / 100)
  local month = math.floor((5 * day + 2) / 153)
  day = day - math.floor((153 * month + 2) / 5) + 1
  month = month < 10 and month + 3 or month - 9
  return string.format('%04d-%02d-%02d', year + era * 400 + (month <= 2 and 1 or 0), month, day)
end

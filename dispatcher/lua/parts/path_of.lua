local function path_of(parent, child)
  if parent == '' then return child end
  return parent .. '|' .. child
end

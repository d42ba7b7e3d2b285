local function supersede_key(job, name)
  return K.supersede .. job.tenant .. '|' .. job.user .. '|' .. name
end

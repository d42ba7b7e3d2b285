-- What `enter_now` does, put off until `write_entries`. Returns how many jobs the tenant has in the
-- queue then; nil where it is the first of its tenant or class in this call, which enters now.
local function enter_later(c, id, job)
  local about, class, tenant, n = c.entering, job.class, job.tenant, #c.entering.places
  if not about.of_tenant[tenant] or not c.waiting[class] then return nil end
  about.places[n + 1], about.places[n + 2] = 0, job.place
  about.dues[n + 1], about.dues[n + 2] = job.wait_until_ms, id
  about.classes[class] = (about.classes[class] or 0) + 1
  about.jobs[tenant] = (about.jobs[tenant] or 0) + 1
  about.bytes[tenant] = (about.bytes[tenant] or 0) + job.bytes
  about.of_tenant[tenant] = about.of_tenant[tenant] + 1
  c.waiting[class], c.queued = c.waiting[class] + 1, c.queued + 1
  return about.of_tenant[tenant]
end

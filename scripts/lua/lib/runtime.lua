--- The Go runtime's own structures: Ps, threads, queues of goroutines, its clock.
--
-- Fields come, go and change their types between releases, so what is asked for here is found by the fields that the
-- program's own types have (runtime/runtime2.go, Go 1.20 to 1.27). The runtime keeps most pointers to its g, m and p as
-- integers (guintptr, muintptr, puintptr), which the collector doesn't follow: `at` does.

local runtime = {}

local known = {} -- the fields of types, by the type's name

--- Whether a struct, or what a pointer leads to, has a field.
-- @param v value
-- @param field string
-- @return boolean
function runtime.has(v, field)
  local name = ri.typeof(v)
  local fields = known[name]
  if not fields then
    fields = {}
    local t = ri.type(v)
    if t.kind == 'ptr' then t = ri.type(t.elem) end
    for _, f in ipairs(t.fields or {}) do
      fields[f.name] = true
      if f.embedded then
        local e = ri.type(f.type)
        if e.kind == 'ptr' then e = ri.type(e.elem) end
        for _, inner in ipairs(e.fields or {}) do fields[inner.name] = true end
      end
    end
    known[name] = fields
  end
  return fields[field] == true
end

--- The first of several fields that a struct has; nil if it has none of them.
-- @param v value
-- @param ... string, names of fields
-- @return any
function runtime.first(v, ...)
  if v == nil then return nil end
  for _, name in ipairs { ... } do
    if runtime.has(v, name) then return v[name] end
  end
  return nil
end

--- A package variable, nil where the program has none of that name.
-- @param name string
-- @return any
function runtime.var(name)
  local found, v = pcall(ri.var, name)
  if found then return v end
  return nil
end

--- What an integer or a pointer of the runtime leads to.
-- @param address int|value
-- @param gotype string, 'runtime.p'
-- @return value
function runtime.at(address, gotype)
  if address == nil then return nil end
  if type(address) ~= 'number' then return address end
  return ri.at(address, gotype)
end

--- Iterates over the Ps: `for p in runtime.processors()`.
-- @return iterator of *runtime.p
function runtime.processors()
  local all, i = ri.var 'runtime.allp', -1
  return function()
    repeat
      i = i + 1
      if i >= #all then return nil end
    until all[i] ~= nil
    return all[i]
  end
end

--- Iterates over the threads: `for m in runtime.threads()`.
-- @return iterator of *runtime.m
function runtime.threads()
  local m, n = ri.var 'runtime.allm', 0
  return function()
    local this = m
    if this == nil then return nil end
    n = n + 1
    if n > 100000 then error('runtime.allm has no end', 2) end
    m = this.alllink
    return this
  end
end

--- Iterates over the goroutines in a queue (runtime.gQueue, runtime.gList): `for g in runtime.queue(q)`.
-- @param q runtime.gQueue
-- @return iterator of *runtime.g
function runtime.queue(q)
  local g, n = runtime.at(q.head, 'runtime.g'), 0
  return function()
    local this = g
    if this == nil then return nil end
    n = n + 1
    if n > 10000000 then error('the queue at ' .. ri.hex(ri.addr(q)) .. ' has no end', 2) end
    g = runtime.at(this.schedlink, 'runtime.g')
    return this
  end
end

--- The target's nanotime at the look. Of a core it is the latest that the runtime noted: it died at that time or a little later.
-- @return int, boolean: nanoseconds, and whether it is exact
function runtime.nanotime()
  local now = ri.nanotime()
  if now then return now, true end
  local latest = 0
  local function note(at)
    if type(at) == 'number' and at > latest and at < 2 ^ 62 then latest = at end
  end
  note(ri.var 'runtime.sched'.lastpoll)
  for p in runtime.processors() do
    note(p.sysmontick.schedwhen)
    note(p.sysmontick.syscallwhen)
  end
  return latest, false
end

local statuses = {
  [0] = 'idle', 'runnable', 'running', 'syscall', 'waiting', 'moribund', 'dead', 'enqueue', 'copystack', 'preempted', 'leaked', 'dead',
}

--- The state of a runtime.g in words, as runtime prints it.
-- @param g *runtime.g
-- @return string
function runtime.status(g)
  local status = g.atomicstatus % 0x1000 -- without the bit of the collector that scans it
  return statuses[status] or ('status ' .. status)
end

return runtime

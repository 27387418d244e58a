-- The live objects by type; who keeps those of one type; the way to one; what grows.

local words = require 'words'

local function share(part, whole) return whole > 0 and math.floor(1000 * part / whole + 0.5) / 10 or 0 end

-- address is of an object: 0xc000..., a decimal number, or an expression that is a pointer or has a place.
local function address(text)
  if text:find '^%d' then return ri.int(text) end
  return ri.eval(text)
end

local function way(h, addr)
  local path, why = h:path(addr)
  return path and path.text or why
end

local function path(h, addr)
  local found, why = h:path(addr)
  if not found then error(why, 0) end
  ri.emit { type = '(root)', path = found.root }
  for _, step in ipairs(found.steps) do
    local object = h:object(step.addr)
    ri.emit { count = 1, bytes = object and object.size, type = step.type, path = step.text, addr = ri.hex(step.addr), which = ri.hex(step.addr) }
  end
  print(found.text)
end

local function instances(h, p)
  for _, addr in ipairs(h:instances(p.instances, p.top)) do
    ri.emit { count = 1, bytes = h:object(addr).size, type = p.instances, path = way(h, addr), addr = ri.hex(addr), which = ri.hex(addr) }
  end
end

local function retainers(h, p)
  local list, count, bytes = h:retainers(p.retainers), 0, 0
  for _, r in ipairs(list) do count, bytes = count + r.count, bytes + r.bytes end
  for i, r in ipairs(list) do
    if i > p.top then break end
    local by = r.created_by
    ri.emit {
      count = r.count, bytes = r.bytes, share = share(r.bytes, bytes), type = p.retainers, holder = r.holder, root = r.root,
      path = way(h, r.example), created_by = by and ('%s %s:%d'):format(by.func, by.file:match '[^/]*$', by.line) or nil, addr = ri.hex(r.example),
      which = (r.holder or '') .. ' < ' .. r.root,
    }
  end
  print(('%s, %s, kept in %s'):format(words.count(count, 'object'), words.bytes(bytes), words.count(#list, 'way')))
end

local function types(h)
  local all = {}
  for t in h:types() do all[t.type] = t end
  return all
end

local function growth(h, p)
  local before = types(h)
  ri.again(p.interval / 1e9)
  h = ri.heap()
  local grown, total = {}, h:stats().bytes
  for name, t in pairs(types(h)) do
    local was = before[name] or { count = 0, bytes = 0 }
    t.more, t.grown = t.count - was.count, t.bytes - was.bytes
    if t.grown > 0 then grown[#grown + 1] = t end
  end
  table.sort(grown, function(a, b) return a.grown > b.grown or a.grown == b.grown and a.type < b.type end)
  for i, t in ipairs(grown) do
    if i > p.top then break end
    local kept = not t.untyped and h:retainers(t.type)[1] or nil
    ri.emit {
      count = t.count, bytes = t.bytes, share = share(t.bytes, total), type = t.type, more = t.more, grown = t.grown,
      holder = kept and kept.holder, root = kept and kept.root, path = kept and way(h, kept.example),
    }
  end
  print(('%s grew in %s'):format(words.count(#grown, 'type'), ri.duration(p.interval)))
end

return {
  title = 'live objects by type, who keeps them, and the ways to them',
  category = 'go',
  description = [[
Walks the whole heap as the collector does, from package variables, goroutines' stacks and finalizers on: what is reached is alive, and has the type that led to it. "[]T" is the store
behind a slice, "string data" are strings' bytes, and maps, channels and closures have names of their own; bytes are those that the allocator gave. What no typed pointer leads to is shown as
untyped, by the size of its slots. Needs a copy of all of the program's memory: a longer stop than usual.

retainers=TYPE says who keeps the objects of a type: the object that the first way to each leads through, and the variable or goroutines that it hangs off. path=ADDR is the way to one object,
instances=TYPE lists some, and interval=5s looks twice and shows what grew, with the largest of those who keep it.
--pprof FILE writes the objects by what holds them as a profile for go tool pprof, --folded FILE for flame graphs.]],
  needs = { runtime = { 'heap' } },
  params = {
    { name = 'retainers', type = 'string', default = '', help = 'who keeps the objects of this type, as TYPE has it' },
    { name = 'path', type = 'string', default = '', help = 'the way from a root to the object at this address, or that this expression leads to' },
    { name = 'instances', type = 'string', default = '', help = 'objects of this type' },
    { name = 'interval', type = 'duration', default = '0s', help = 'look twice, so far apart, and show what grew' },
    { name = 'type', type = 'string', default = '', help = 'only types whose name matches this regular expression' },
    { name = 'top', type = 'int', default = 30, min = 1, max = 100000, help = 'rows' },
  },
  columns = {
    { name = 'count', type = 'int', help = 'objects' },
    { name = 'bytes', type = 'bytes', help = 'of their slots' },
    { name = 'share', type = 'float', help = 'percent of all live bytes; with retainers of those of the type' },
    { name = 'type', help = 'as Go prints it', key = true },
    { name = 'which', help = 'of several rows of a type: the object, or who keeps the objects', hidden = true, key = 'alone' },
  },
  profile = { { type = 'inuse_objects', unit = 'count' }, { type = 'inuse_space', unit = 'bytes' } },
  sample = [[
 COUNT     BYTES  SHARE  TYPE
293000  35.8 MiB   42.1  []uint8
 58600  14.3 MiB   16.8  []main.Label
293000  13.4 MiB   15.8  main.Chunk]],
  run = function(p)
    local modes = 0
    for _, mode in ipairs { p.retainers, p.path, p.instances, p.interval > 0 and 'interval' or '' } do
      if mode ~= '' then modes = modes + 1 end
    end
    if modes > 1 then error('retainers=, path=, instances= and interval= exclude each other', 0) end
    local h = ri.heap()
    local addr = p.path ~= '' and address(p.path)
    if h:stats().objects == 0 then return end -- a rehearsal: there is nothing to walk yet
    if addr then return path(h, addr) end
    if p.instances ~= '' then return instances(h, p) end
    if p.retainers ~= '' then return retainers(h, p) end
    if p.interval > 0 then return growth(h, p) end
    local stats, shown, kinds = h:stats(), 0, 0
    for t in h:types() do
      if p.type == '' or ri.match(t.type, p.type) then
        kinds = kinds + 1
        if shown < p.top then
          shown = shown + 1
          ri.emit { count = t.count, bytes = t.bytes, share = share(t.bytes, stats.bytes), type = t.type, pointers = t.pointers }
        end
      end
    end
    for s in h:stacks() do ri.sample(s.frames, { s.count, s.bytes }) end
    print(('%s, %s live, %.1f %% of the bytes with a type; %s%s'):format(words.count(stats.objects, 'object'), words.bytes(stats.bytes), share(stats.typed, stats.bytes),
      words.count(kinds, 'type'), kinds > shown and (', the first %d shown (top=)'):format(shown) or ''))
  end,
}

-- The allocator: arenas, spans by size class, stacks, the limit.

local words = require 'words'

local function used(part, whole) return whole > 0 and ('%.0f %%'):format(100 * part / whole) or nil end

return {
  title = 'memory: arenas, spans by size class, stacks, the limit',
  category = 'go',
  description = [[
How the Go runtime uses the memory that it has from the system. First the totals, those of runtime.ReadMemStats and runtime/metrics; then the spans, which are runs of pages with objects of one size each: how many slots
they have and how many are taken. Slots that are taken may hold garbage that was not swept yet; "ri run heap" shows what is alive. Many spans with few slots taken are fragmentation.]],
  needs = { vars = { 'runtime.mheap_', 'runtime.gcController', 'runtime.memstats' }, runtime = { 'heap' } },
  params = {
    { name = 'top', type = 'int', default = 20, min = 0, max = 200, help = 'size classes shown, those with most bytes' },
  },
  columns = {
    { name = 'name', help = 'what', key = true },
    { name = 'bytes', type = 'bytes', help = 'of memory' },
    { name = 'spans', type = 'int', help = 'runs of pages' },
    { name = 'slots', type = 'int', help = 'room for so many objects' },
    { name = 'used', type = 'int', help = 'slots taken' },
    { name = 'about', help = 'what it means, or the share of slots taken' },
    { name = 'pointers', type = 'bool', help = 'of a size, whether the collector looks for pointers in such objects', hidden = true, key = true },
  },
  sample = [[
NAME                   BYTES  SPANS   SLOTS    USED  ABOUT
heap in use          100 MiB      -       -       -  spans with objects
stacks               768 KiB      -       -       -  of goroutines
objects of 128 B    35.8 MiB   4579  293056  293013  100 %, with pointers]],
  run = function(p)
    local c, stats, heap = ri.var 'runtime.gcController', ri.var 'runtime.memstats', ri.var 'runtime.mheap_'
    local function row(name, bytes, about) ri.emit { name = name, bytes = bytes, about = about } end
    row('mapped', c.mappedReady, 'all that counts towards the limit')
    if ri.cmp(c.memoryLimit, 2 ^ 62) > 0 then
      ri.emit { name = 'limit', about = 'none (GOMEMLIMIT, debug.SetMemoryLimit)' }
    else
      row('limit', c.memoryLimit, ('%s used'):format(used(c.mappedReady, c.memoryLimit)))
    end
    row('heap in use', c.heapInUse, 'spans with objects')
    row('heap idle', c.heapFree, 'free, not given back to the system')
    row('heap released', c.heapReleased, 'given back to the system')
    local function field(v, ...)
      for _, name in ipairs { ... } do
        local ok, found = pcall(function() return v[name] end)
        if ok then return found end
      end
    end
    local function other(name, about, ...)
      local found = field(stats, ...)
      if found then row(name, found, about) end
    end
    other('stacks of threads', 'the system stacks', 'stacks_sys')
    other('spans', 'records of spans', 'mspan_sys')
    other('caches', 'of Ps', 'mcache_sys')
    other('collector', 'its own structures', 'gcMiscSys')
    other('profiling', 'buckets of memory and block profiles', 'buckhash_sys')
    other('other', 'what else the runtime has', 'other_sys')
    local arenas = field(heap, 'heapArenas', 'allArenas')
    if arenas then row('arenas', 64 * 2 ^ 20 * #arenas, ('%s of 64 MiB of address space'):format(words.count(#arenas, 'piece'))) end
    local shown, rest = 0, { bytes = 0, spans = 0, slots = 0, used = 0, kinds = 0 }
    for _, s in ipairs(ri.spans()) do
      if s.use == 'stacks' then
        ri.emit { name = 'stacks', bytes = s.bytes, spans = s.spans, about = 'of goroutines, free ones among them' }
      elseif shown < p.top then
        shown = shown + 1
        ri.emit {
          name = s.size > 0 and ('objects of %s'):format(words.bytes(s.size)) or 'large objects', bytes = s.bytes, spans = s.spans, slots = s.slots, used = s.used,
          about = ('%s, %s'):format(used(s.used, s.slots) or '-', s.pointers and 'with pointers' or 'without'),
          pointers = s.pointers,
        }
      else
        for name in pairs(rest) do if s[name] then rest[name] = rest[name] + s[name] end end
        rest.kinds = rest.kinds + 1
      end
    end
    if rest.kinds > 0 then
      ri.emit { name = ('%d more sizes'):format(rest.kinds), bytes = rest.bytes, spans = rest.spans, slots = rest.slots, used = rest.used, about = used(rest.used, rest.slots) }
    end
  end,
}

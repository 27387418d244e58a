-- The largest maps, slices, strings and channels, and the ways to them.

return {
  title = 'largest maps, slices, strings and channels, with paths',
  category = 'go',
  description = [[
Walks the heap and lists the largest containers: maps with their tables, the stores behind slices, strings' bytes, channels with their buffers. PATH is one of the shortest ways from a package variable or a
goroutine's frame. BYTES is without what the elements point to. KEEPS is with all that was reached first by a way through it, and KEPT of which types that is; what is reached on a shorter way counts there. So KEEPS is about what would
be free without it. A store knows how many elements it has room for (CAP), but not how many of them its slice uses.]],
  needs = { runtime = { 'heap' } },
  params = {
    { name = 'top', type = 'int', default = 10, min = 1, max = 10000, help = 'rows of each kind' },
    { name = 'kind', type = 'string', default = '', help = 'only these: map, slice, string or chan' },
  },
  columns = {
    { name = 'kind', help = 'map, slice, string or chan' },
    { name = 'len', type = 'int', help = 'elements, or bytes of a string' },
    { name = 'cap', type = 'int', help = 'elements that there is room for' },
    { name = 'bytes', type = 'bytes', help = 'that the allocator gave for it' },
    { name = 'keeps', type = 'bytes', help = 'that were reached first by a way through it, it included' },
    { name = 'type', help = 'as Go prints it' },
    { name = 'kept', help = 'what most of that is: objects of which types, the most bytes first' },
    { name = 'path', help = 'a way to it' },
    { name = 'addr', type = 'address', help = 'where it is', hidden = true, key = true },
  },
  sample = [[
KIND    LEN   CAP     BYTES    KEEPS  TYPE                     KEPT                                PATH
map   58600     -  1.9 MiB  9.8 MiB  map[uint64]*main.Series  58600 main.Series, 58600 []float64  main.head.series
chan     12  1000  8.0 KiB  8.0 KiB  chan *main.Series        12 main.Series                      main.head.pending]],
  run = function(p)
    if p.kind ~= '' and not ('map slice string chan'):find(p.kind, 1, true) then error('kind is map, slice, string or chan, not ' .. p.kind, 0) end
    local h = ri.heap()
    for _, c in ipairs(h:biggest(p.top)) do
      if p.kind == '' or c.kind == p.kind then
        local path, why = h:path(c.addr)
        local kept = {}
        for _, k in ipairs(c.kept or {}) do -- but for a map's own tables
          if #kept < 3 and k.type:sub(1, #c.type + 1) ~= c.type .. ' ' then kept[#kept + 1] = k.count .. ' ' .. k.type end
        end
        ri.emit { kind = c.kind, len = c.len, cap = c.cap, bytes = c.bytes, keeps = c.keeps, type = c.type, kept = kept[1] and table.concat(kept, ', '),
          path = path and path.text or why, addr = c.addr }
      end
    end
  end,
}

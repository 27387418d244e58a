-- The largest maps, slices, strings and channels, and the ways to them.

return {
  title = 'largest maps, slices, strings and channels, with paths',
  category = 'go',
  description = [[
Walks the heap and lists the largest containers: maps with their tables, the stores behind slices, strings' bytes, channels with their buffers. PATH is one of the shortest ways from a package variable or a
goroutine's frame. What the elements point to doesn't count. A store knows how many elements it has room for (CAP), but not how many of them its slice uses.]],
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
    { name = 'type', help = 'as Go prints it' },
    { name = 'path', help = 'a way to it' },
    { name = 'addr', type = 'address', help = 'where it is', hidden = true, key = true },
  },
  sample = [[
KIND    LEN   CAP     BYTES  TYPE                       PATH
map   58600     -  1.9 MiB  map[uint64]*main.Series    main.head.series
chan     12  1000  8.0 KiB  chan *main.Series          main.head.pending]],
  run = function(p)
    if p.kind ~= '' and not ('map slice string chan'):find(p.kind, 1, true) then error('kind is map, slice, string or chan, not ' .. p.kind, 0) end
    local h = ri.heap()
    for _, c in ipairs(h:biggest(p.top)) do
      if p.kind == '' or c.kind == p.kind then
        local path, why = h:path(c.addr)
        ri.emit { kind = c.kind, len = c.len, cap = c.cap, bytes = c.bytes, type = c.type, path = path and path.text or why, addr = c.addr }
      end
    end
  end,
}

-- What runs when objects are gone: finalizers and cleanups.

local words = require 'words'

return {
  title = 'finalizers and cleanups, by type and function',
  category = 'go',
  description = [[
Walks the heap and lists what runtime.SetFinalizer and runtime.AddCleanup set on objects, by the objects' type and the function that will run. LIVE are those that something still leads to; the others wait for the
collector to find that out. Objects that are never freed, like os.File, are a leak if their number only grows.]],
  needs = { runtime = { 'heap' } },
  params = {},
  columns = {
    { name = 'count', type = 'int', help = 'objects' },
    { name = 'live', type = 'int', help = 'of them still reached' },
    { name = 'kind', help = 'finalizer or cleanup', key = true },
    { name = 'type', help = 'of the objects', key = true },
    { name = 'func', help = 'that will run', key = true },
    { name = 'example', type = 'address', help = 'one of the objects', hidden = true },
  },
  sample = [[
COUNT  LIVE  KIND       TYPE     FUNC
   17    17  finalizer  os.file  os.(*file).close]],
  run = function()
    local h, n, live = ri.heap(), 0, 0
    for _, f in ipairs(h:finalizers()) do
      n, live = n + f.count, live + f.live
      ri.emit { count = f.count, live = f.live, kind = f.kind, type = f.type, func = f.func, example = f.addr }
    end
    print(('%s, %d of them still reached'):format(words.count(n, 'object'), live))
  end,
}

-- What runs when objects are gone: finalizers and cleanups.

local words = require 'words'

return {
  title = 'finalizers and cleanups, by type and function',
  category = 'go',
  description = [[
Walks the heap and lists what runtime.SetFinalizer and runtime.AddCleanup set on objects, by the objects' type and the function that will run. LIVE are those that something still leads to, QUEUED
those that the collector found to be gone, and whose finalizers wait to be run, one after the other; the others wait for the collector to find that out. Objects that are never freed, like os.File, are a leak if their number only grows.]],
  needs = { runtime = { 'heap' } },
  params = {},
  columns = {
    { name = 'count', type = 'int', help = 'objects' },
    { name = 'live', type = 'int', help = 'of them still reached' },
    { name = 'queued', type = 'int', help = 'of them gone: their finalizers wait to be run' },
    { name = 'kind', help = 'finalizer or cleanup', key = true },
    { name = 'type', help = 'of the objects', key = true },
    { name = 'func', help = 'that will run', key = true },
    { name = 'example', type = 'address', help = 'one of the objects', hidden = true },
  },
  sample = [[
COUNT  LIVE  QUEUED  KIND       TYPE     FUNC
   17    17       0  finalizer  os.file  os.(*file).close]],
  run = function()
    local h, n, live, queued, bytes = ri.heap(), 0, 0, 0, 0
    for _, f in ipairs(h:finalizers()) do
      n, live, queued, bytes = n + f.count, live + f.live, queued + f.queued, bytes + f.queued_bytes
      ri.emit { count = f.count, live = f.live, queued = f.queued, kind = f.kind, type = f.type, func = f.func, example = f.addr }
    end
    print(('%s, %d of them still reached'):format(words.count(n, 'object'), live))
    if queued > 0 then
      print(('%d are gone, and keep %s until their finalizers have run; ri check says what keeps those from it'):format(queued, words.bytes(bytes)))
    end
  end,
}

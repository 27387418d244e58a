-- The watchers of an etcd server's store.

local etcd, words = require("etcd/server"), require("words")

-- text makes the end of a range what the API calls it: of one that has none, an empty one is given as "\0".
local function range_end(watcher)
  local bytes = watcher["end"]
  if #bytes == 0 and not ri.isnil(bytes) then return "\0" end
  return ri.bytes(bytes)
end

-- wanted lists the watchers that the parameters choose: victims and unsynced ones first.
local function wanted(store, p)
  local list = {}
  local function add(watchers, state, order)
    if p.state ~= "all" and p.state ~= state then return end
    for watcher in ri.pairs(watchers) do
      local key = ri.bytes(watcher.key)
      if p.prefix == "" or key:sub(1, #p.prefix) == p.prefix then
        list[#list + 1] = { watcher = watcher, state = state, order = order, key = key, stream = ri.hex(ri.chan(watcher.ch).addr), id = watcher.id }
      end
    end
  end
  for _, batch in ri.pairs(store.victims) do add(batch, "victim", 1) end
  add(store.unsynced.watchers, "unsynced", 2)
  add(store.synced.watchers, "synced", 3)
  table.sort(list, function(a, b)
    if a.order ~= b.order then return a.order < b.order end
    if a.key ~= b.key then return a.key < b.key end
    if a.stream ~= b.stream then return a.stream < b.stream end
    return ri.cmp(a.id, b.id) < 0
  end)
  return list
end

return {
  title = "the watchers of an etcd server, and who lags behind",
  category = "etcd",
  description = [[
Lists who watches what. A synced watcher is given events as they come, an unsynced one is still given those of before, a victim doesn't
read what it was sent, and its stream is full. Ids are unique within a stream.]],
  params = {
    { name = "prefix", type = "string", default = "", help = "only of keys that begin with this" },
    { name = "state", type = "enum", values = { "all", "synced", "unsynced", "victim" }, default = "all", help = "only those in this state" },
    { name = "limit", type = "int", default = 1000, min = 0, help = "watchers shown, the slow ones first; all are counted" },
  },
  needs = etcd.needs("kv"),
  columns = {
    { name = "stream", help = "what watchers of one connection share", key = true },
    { name = "id", type = "int", help = "within the stream", key = true },
    { name = "key" },
    { name = "range_end", help = "the first key that it doesn't watch; none: just the one key; \\0: all from the key on" },
    { name = "start_rev", type = "int", help = "from where it asked to be told; 0: from when it came" },
    { name = "min_rev", type = "int", help = "the next revision that it has to be told" },
    { name = "state", help = "synced, unsynced or victim" },
    { name = "behind", type = "int", help = "revisions that it hasn't been told" },
    { name = "queued", type = "int", help = "responses that wait in the stream" },
  },
  sample = [[
STREAM          ID  KEY    RANGE END  START REV  MIN REV  STATE   BEHIND  QUEUED
0x1a1dbb35a0e0   0  jobs/  jobs0              0        5  synced       0       0
1 watcher]],
  run = function(p)
    local store = etcd.server().kv
    local list, revision = wanted(store, p), store.currentRev
    for i = 1, math.min(#list, p.limit) do
      local found = list[i]
      local watcher = found.watcher
      ri.emit {
        stream = found.stream, id = found.id, key = found.key, range_end = range_end(watcher), start_rev = watcher.startRev, min_rev = watcher.minRev,
        state = found.state, behind = math.max(0, revision + 1 - watcher.minRev), queued = ri.chan(watcher.ch).len,
      }
    end
    print(words.shown(#list, "watcher", p.limit))
  end,
}

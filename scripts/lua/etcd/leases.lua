-- The leases of an etcd server.

local etcd, words = require("etcd/server"), require("words")

return {
  title = "the leases of an etcd server and what is left of them",
  category = "etcd",
  description = [[
Lists the leases, those that end first at the top. Only the leader knows what remains: on other members it is empty. A lease whose
time is over and that is still here waits to be revoked.]],
  params = {
    { name = "limit", type = "int", default = 1000, min = 0, help = "leases shown; all are counted" },
  },
  needs = etcd.needs("lessor"),
  columns = {
    { name = "id", help = "as etcdctl prints it", key = true },
    { name = "ttl", type = "duration", help = "granted" },
    { name = "remaining", type = "duration", help = "until it ends; less than nothing: it should be gone" },
    { name = "keys", type = "int", help = "that go with it" },
  },
  sample = [[
ID                TTL  REMAINING  KEYS
390d9ff5a1c20a07  10m      9m41s     3
1 lease]],
  run = function(p)
    local list = {}
    for id, lease in ri.pairs(etcd.server().lessor.leaseMap) do
      local age = ri.age(ri.ref(lease, "expiry"))
      list[#list + 1] = { id = etcd.id(id, 16), lease = lease, remaining = age and -age }
    end
    table.sort(list, function(a, b)
      local x, y = a.remaining or math.huge, b.remaining or math.huge
      if x ~= y then return x < y end
      return a.id < b.id
    end)
    for i = 1, math.min(#list, p.limit) do
      local found = list[i]
      ri.emit {
        id = found.id, ttl = found.lease.ttl * 1e9, remaining = found.remaining and math.floor(found.remaining * 1e9), keys = #found.lease.itemSet,
      }
    end
    print(words.shown(#list, "lease", p.limit))
  end,
}

-- Requests that an etcd server answers.

return {
  title = "etcd: requests as they are answered",
  category = "etcd",
  description = [[
Traces the requests for keys that the server answers: Range, Put, DeleteRange and Txn, with the key they are about, how long they took, and the error.]],
  needs = { funcs = { "go.etcd.io/etcd/server/v3/etcdserver.(*EtcdServer).Range", "go.etcd.io/etcd/server/v3/etcdserver.(*EtcdServer).Put" } },
  params = {
    { name = "over", type = "duration", default = "0s", min = 0, help = "only requests that took longer" },
    { name = "limit", type = "int", default = 100, min = 1, help = "end after so many" },
    { name = "time", type = "duration", default = "60s", min = "1s", help = "end after so long" },
  },
  probes = {
    {
      name = "range", func = "go.etcd.io/etcd/server/v3/etcdserver.(*EtcdServer).Range", returns = true, when = "duration >= ${over}",
      show = { key = "string(r.Key)", stop = "len(r.RangeEnd)", n = "r0.Count", err = "r1" },
    },
    {
      name = "put", func = "go.etcd.io/etcd/server/v3/etcdserver.(*EtcdServer).Put", returns = true, when = "duration >= ${over}",
      show = { key = "string(r.Key)", n = "len(r.Value)", err = "r1" },
    },
    {
      name = "delete", func = "go.etcd.io/etcd/server/v3/etcdserver.(*EtcdServer).DeleteRange", returns = true, optional = true,
      when = "duration >= ${over}", show = { key = "string(r.Key)", stop = "len(r.RangeEnd)", n = "r0.Deleted", err = "r1" },
    },
    {
      name = "txn", func = "go.etcd.io/etcd/server/v3/etcdserver.(*EtcdServer).Txn", returns = true, optional = true,
      when = "duration >= ${over}", show = { n = "len(r.Compare)", err = "r1" },
    },
  },
  columns = {
    { name = "time", type = "time" },
    { name = "goroutine", type = "int" },
    { name = "request", help = "range, put, delete, txn" },
    { name = "duration", type = "duration" },
    { name = "count", type = "int", help = "keys found or deleted, bytes put, comparisons of a transaction" },
    { name = "key", help = "with a + where it is the first of a range" },
    { name = "error", optional = true },
  },
  sample = [[
TIME                      GOROUTINE  REQUEST  DURATION  COUNT  KEY               ERROR
2026-11-29T02:51:59.044Z         51  put        2.14ms      5  /registry/pods/a  -
2026-11-29T02:51:59.101Z         52  range      1.02ms      0  /registry/pods/b  &errors.errorString{...}]],
  run = function(p)
    for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9 } do
      local key = hit.key
      if key and hit.stop and hit.stop > 0 then key = key .. " +" end
      ri.emit {
        time = hit.time, goroutine = hit.goroutine, request = hit.probe, duration = hit.duration or hit.so_far, count = hit.n, key = key,
        error = hit.err or hit.ended,
      }
    end
  end,
}

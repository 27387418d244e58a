-- Requests that the program makes with net/http, as they are answered.

return {
  title = "net/http: requests that the program makes",
  category = "trace",
  description = [[
Traces the requests that the program's http.Transports send, for an http.Client, a reverse proxy or anybody else, when they are answered: to which host, with what
answer, how long it took until the answer's header was there. Each redirection that a client follows is a request. The path is shown without its query. The kernel
keeps a few breakpoints in the program meanwhile, and the process isn't stopped.]],
  needs = { funcs = { "net/http.(*Transport).roundTrip" }, fields = { "net/http.Response.StatusCode" } },
  params = {
    { name = "over", type = "duration", default = "0s", min = 0, help = "only requests that took longer" },
    { name = "limit", type = "int", default = 100, min = 1, help = "end after so many" },
    { name = "time", type = "duration", default = "60s", min = "1s", help = "end after so long" },
  },
  probes = {
    {
      func = "net/http.(*Transport).roundTrip",
      returns = true,
      when = "duration >= ${over}",
      show = {
        method = "req.Method", scheme = "req.URL.Scheme", host = "req.URL.Host", path = "req.URL.Path",
        status = "r0.StatusCode", bytes = "r0.ContentLength", err = "r1",
      },
    },
  },
  columns = {
    { name = "time", type = "time" },
    { name = "goroutine", type = "int", help = "that makes it" },
    { name = "method" },
    { name = "status", type = "int", help = "none: there was no answer" },
    { name = "bytes", type = "bytes", help = "of the answer's body, if its header says so" },
    { name = "duration", type = "duration" },
    { name = "host", cut = "left" },
    { name = "path", cut = "left" },
    { name = "error", optional = true },
  },
  sample = [[
TIME                      GOROUTINE  METHOD  STATUS   BYTES  DURATION  HOST            PATH         ERROR
2026-11-29T02:51:59.044Z         51  GET        200  1.2 KB    2.14ms  127.0.0.1:7811  /orders/827  -
2026-11-29T02:51:59.101Z         52  GET          -       -     5.01s  127.0.0.1:7812  /stock       &net.OpError{...}]],
  run = function(p)
    for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9 } do
      local bytes = hit.bytes
      if bytes and bytes < 0 then bytes = nil end
      ri.emit {
        time = hit.time, goroutine = hit.goroutine, method = hit.method, status = hit.status, bytes = bytes, duration = hit.duration or hit.so_far,
        host = hit.host, path = hit.path, error = hit.err or hit.ended,
      }
    end
  end,
}

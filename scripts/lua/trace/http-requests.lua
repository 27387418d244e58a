-- Requests that net/http servers answer, as they are answered.

return {
  title = "net/http: requests as they are answered",
  category = "trace",
  description = [[
Traces the requests that the program's net/http servers answer, HTTP/1 and HTTP/2: when a handler returns, with what it answered and how long it took. The path is
shown without its query. The kernel keeps two breakpoints in the program meanwhile, and the process isn't stopped.]],
  needs = { funcs = { "net/http.serverHandler.ServeHTTP" }, fields = { "net/http.response.status", "net/http.response.written" } },
  params = {
    { name = "over", type = "duration", default = "0s", min = 0, help = "only requests that took longer" },
    { name = "path", type = "string", default = "", help = "only requests with this in their path" },
    { name = "limit", type = "int", default = 100, min = 1, help = "end after so many" },
    { name = "time", type = "duration", default = "60s", min = "1s", help = "end after so long" },
  },
  probes = {
    {
      func = "net/http.serverHandler.ServeHTTP",
      returns = true,
      when = { "duration >= ${over}", 'contains(req.URL.Path, ${path})' },
      show = {
        method = "req.Method",
        path = "req.URL.Path",
        proto = "req.Proto",
        remote = "req.RemoteAddr",
        host = "req.Host",
        status = "after(rw.(*response).status)",
        written = "after(rw.(*response).written)",
        status2 = "?after(rw.(*http2responseWriter).rws.status)",
        written2 = "?after(rw.(*http2responseWriter).rws.wroteBytes)",
        status3 = "?after(rw.(http2ResponseWriter).ResponseWriter.rws.status)", -- Go >= 1.27
        written3 = "?after(rw.(http2ResponseWriter).ResponseWriter.rws.wroteBytes)",
      },
    },
  },
  columns = {
    { name = "time", type = "time" },
    { name = "goroutine", type = "int", help = "that served it" },
    { name = "remote", help = "the peer's address" },
    { name = "proto", help = "HTTP/1.1, HTTP/2.0" },
    { name = "method" },
    { name = "status", type = "int", help = "none: the handler panicked, or took the connection over" },
    { name = "bytes", type = "bytes", help = "of the body that the handler wrote; HEAD: not sent" },
    { name = "duration", type = "duration" },
    { name = "host", hidden = true },
    { name = "path", cut = "left" },
    { name = "ended", optional = true, help = "if the handler did not return" },
  },
  sample = [[
TIME                      GOROUTINE  REMOTE           PROTO     METHOD  STATUS   BYTES  DURATION  PATH         ENDED
2026-11-29T02:51:59.044Z         51  127.0.0.1:51344  HTTP/1.1  GET        200  1.2 KB    2.14ms  /orders/827  -
2026-11-29T02:51:59.101Z         52  127.0.0.1:51350  HTTP/1.1  GET          -       -         -  /orders/828  without a return (panic or Goexit)]],
  run = function(p)
    for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9 } do
      local status = hit.status or hit.status2 or hit.status3
      if status == 0 and not hit.ended then status = 200 end -- what net/http answers for a handler that says nothing
      ri.emit {
        time = hit.time, goroutine = hit.goroutine, remote = hit.remote, proto = hit.proto, method = hit.method, status = status,
        bytes = hit.written or hit.written2 or hit.written3, duration = hit.duration or hit.so_far, host = hit.host, path = hit.path, ended = hit.ended,
      }
    end
  end,
}

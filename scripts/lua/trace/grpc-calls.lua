-- Calls that a gRPC server answers, and those that the program makes.

return {
  title = "gRPC: calls as they are answered",
  category = "trace",
  description = [[
Traces the calls that the program's gRPC servers answer, and the unary ones that it makes itself, when they are answered; streams that it serves, when they end:
the method, how long it took, the error.]],
  needs = { funcs = { "google.golang.org/grpc.(*Server).handleStream" } },
  params = {
    { name = "limit", type = "int", default = 100, min = 1, help = "end after so many" },
    { name = "time", type = "duration", default = "60s", min = "1s", help = "end after so long" },
  },
  probes = {
    {
      name = "server", func = "google.golang.org/grpc.(*Server).processUnaryRPC", returns = true, optional = true,
      show = { method = "stream.method", err = "err" },
    },
    {
      name = "server", func = "google.golang.org/grpc.(*Server).processStreamingRPC", returns = true, optional = true,
      show = { method = "stream.method", err = "err" },
    },
    { -- grpc-go >= 1.85: all of them
      name = "server", func = "google.golang.org/grpc.(*Server).processRPC", returns = true, optional = true,
      show = { method = "stream.method", err = "err" },
    },
    { name = "client", func = "google.golang.org/grpc.invoke", returns = true, optional = true, show = { method = "method", err = "err" } },
  },
  columns = {
    { name = "time", type = "time" },
    { name = "goroutine", type = "int" },
    { name = "side", help = "server: answered; client: made" },
    { name = "duration", type = "duration" },
    { name = "method" },
    { name = "error", optional = true },
  },
  sample = [[
TIME                      GOROUTINE  SIDE    DURATION  METHOD                 ERROR
2026-11-29T02:51:59.044Z         51  server    2.14ms  /etcdserverpb.KV/Range  -
2026-11-29T02:51:59.101Z         52  server    1.02ms  /etcdserverpb.KV/Put    &status.Error{...}]],
  run = function(p)
    for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9 } do
      ri.emit {
        time = hit.time, goroutine = hit.goroutine, side = hit.probe, duration = hit.duration or hit.so_far, method = hit.method,
        error = hit.err or hit.ended,
      }
    end
  end,
}

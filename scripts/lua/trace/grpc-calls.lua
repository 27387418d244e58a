-- Calls that a gRPC server answers, and those that the program makes.

-- The names of google.golang.org/grpc/codes, from 0 on.
local codes = {
  "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied", "ResourceExhausted",
  "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated",
}

-- What the server answers is known where it writes the status, on the goroutine that serves the call.
local function writes(func)
  return { name = "status", func = "google.golang.org/grpc/internal/transport." .. func, optional = true, show = { code = "st.s.Code", message = "st.s.Message" } }
end

return {
  title = "gRPC: calls as they are answered",
  category = "trace",
  description = [[
Traces the calls that the program's gRPC servers answer, unary ones and streams, when they end, and the unary ones that it makes itself: the method, how long it took,
and the code and message of the status. A call that a client has given up may have no status.]],
  needs = { types = { "google.golang.org/grpc/internal/status.Error" } },
  params = {
    { name = "limit", type = "int", default = 100, min = 1, help = "end after so many" },
    { name = "time", type = "duration", default = "60s", min = "1s", help = "end after so long" },
  },
  probes = {
    {
      name = "server", func = "google.golang.org/grpc.(*Server).handleStream", returns = true, optional = true,
      show = { method = "stream.method" },
    },
    writes "(*http2Server).WriteStatus",
    writes "(*http2Server).writeStatus", -- grpc-go >= 1.69
    writes "(*serverHandlerTransport).WriteStatus",
    writes "(*serverHandlerTransport).writeStatus",
    {
      name = "client", func = "google.golang.org/grpc.invoke", returns = true, optional = true,
      show = { method = "method", err = "err", code = "err.(*status.Error).s.s.Code", message = "err.(*status.Error).s.s.Message" },
    },
  },
  columns = {
    { name = "time", type = "time" },
    { name = "goroutine", type = "int" },
    { name = "side", help = "server: answered; client: made" },
    { name = "duration", type = "duration" },
    { name = "code", help = "as google.golang.org/grpc/codes names it" },
    { name = "method" },
    { name = "message", help = "of the status", optional = true },
    { name = "error", help = "of a call whose status isn't known", optional = true },
  },
  sample = [[
TIME                      GOROUTINE  SIDE    DURATION  CODE      METHOD                 MESSAGE                                ERROR
2026-11-29T02:51:59.044Z         51  server    2.14ms  OK        /etcdserverpb.KV/Range  -                                      -
2026-11-29T02:51:59.101Z         52  server    1.02ms  NotFound  /etcdserverpb.KV/Put    etcdserver: requested lease not found  -]],
  run = function(p)
    local written, n = {}, 0 -- by goroutine
    for hit in ri.hits { limit = 2 * p.limit, seconds = p.time / 1e9 } do
      if hit.probe == "status" then
        written[hit.goroutine or 0] = hit
      else
        local status, code = hit, hit.code
        if hit.probe == "server" then
          status = written[hit.goroutine or 0] or hit
          written[hit.goroutine or 0] = nil
          code = status.code
        elseif not code and not hit.err and not hit.missing.err and not hit.ended then
          code = 0
        end
        local message = status.message
        if message == "" then message = nil end
        ri.emit {
          time = hit.time, goroutine = hit.goroutine, side = hit.probe, duration = hit.duration or hit.so_far, method = hit.method,
          code = code and (codes[code + 1] or tostring(code)), message = message, error = hit.ended or not code and hit.err or nil,
        }
        n = n + 1
        if n == p.limit then break end
      end
    end
  end,
}

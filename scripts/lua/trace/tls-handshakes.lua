-- TLS handshakes, as they end.

return {
  title = "crypto/tls: handshakes as they end",
  category = "trace",
  description = [[
Traces the handshakes of crypto/tls, as client and as server, when they end: for which name, with which version, how long it took, and the error.]],
  needs = { funcs = { "crypto/tls.(*Conn).serverHandshake" }, fields = { "crypto/tls.Conn.isClient", "crypto/tls.Conn.vers", "crypto/tls.Conn.serverName" } },
  params = {
    { name = "limit", type = "int", default = 100, min = 1, help = "end after so many" },
    { name = "time", type = "duration", default = "60s", min = "1s", help = "end after so long" },
  },
  -- HandshakeContext is called again and again, by Read and Write too; these once a handshake.
  probes = {
    {
      name = "server",
      func = "crypto/tls.(*Conn).serverHandshake",
      returns = true,
      optional = true,
      show = {
        version = "after(c.vers)", name = "after(c.serverName)", protocol = "after(c.clientProtocol)", resumed = "?after(c.didResume)", err = "err",
      },
    },
    {
      name = "client",
      func = "crypto/tls.(*Conn).clientHandshake",
      returns = true,
      optional = true,
      show = {
        version = "after(c.vers)", name = "after(c.serverName)", asked = "?c.config.ServerName", protocol = "after(c.clientProtocol)",
        resumed = "?after(c.didResume)", err = "err",
      },
    },
  },
  columns = {
    { name = "time", type = "time" },
    { name = "goroutine", type = "int" },
    { name = "side", help = "client, server" },
    { name = "name", help = "of the server, as the client asks for it" },
    { name = "version" },
    { name = "protocol", help = "that both agreed on (ALPN)", optional = true },
    { name = "resumed", type = "bool", hidden = true },
    { name = "duration", type = "duration" },
    { name = "error", optional = true },
  },
  sample = [[
TIME                      GOROUTINE  SIDE    NAME         VERSION  PROTOCOL  DURATION  ERROR
2026-11-29T02:51:59.044Z         51  server  example.com  TLS 1.3  h2          2.14ms  -
2026-11-29T02:51:59.101Z         52  client  old.example  -        -           1.02ms  &errors.errorString{...}]],
  run = function(p)
    local versions = { [769] = "TLS 1.0", [770] = "TLS 1.1", [771] = "TLS 1.2", [772] = "TLS 1.3" }
    for hit in ri.hits { limit = p.limit, seconds = p.time / 1e9 } do
      local name, protocol = hit.name, hit.protocol
      if name == "" then name = nil end
      if protocol == "" then protocol = nil end
      ri.emit {
        time = hit.time, goroutine = hit.goroutine, side = hit.probe, name = name or hit.asked,
        version = versions[hit.version], protocol = protocol, resumed = hit.resumed, duration = hit.duration or hit.so_far, error = hit.err or hit.ended,
      }
    end
  end,
}

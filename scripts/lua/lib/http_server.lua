--- net/http servers: their connections and the requests that they serve.

local frames = require 'frames'
local netpoll = require 'netpoll'
local runtime = require 'runtime'

local http = {}

local states = { [0] = 'new', 'active', 'idle', 'hijacked', 'closed' } -- net/http.ConnState

-- address is that of a connection or listener, through TLS, limits and whatever else wraps it.
local function address(inner)
  local found, text = pcall(function()
    for _ = 1, 8 do
      if runtime.has(inner, 'fd') then return netpoll.address(inner.fd.laddr) end
      inner = runtime.first(inner, 'conn', 'Conn', 'Listener')
    end
  end)
  return found and text or nil
end

--- The servers that accept connections now: the receivers of (*Server).Serve, and no others.
-- @return table of {server, address: where, nil if it isn't known}
function http.listening()
  local out, seen = {}, {}
  for g, i in frames.of [[^net/http\.\(\*Server\)\.Serve$]] do
    local arguments = frames.arguments(g, i) -- what it calls itself differs from release to release
    local server = arguments[1] and arguments[1].value
    if server ~= nil and not seen[ri.addr(server)] then
      local at = {}
      for listener in ri.pairs(server.listeners) do at[#at + 1] = address(ri.deref(listener)) end
      table.sort(at)
      seen[ri.addr(server)], out[#out + 1] = true, { server = server, address = at[1] and table.concat(at, ', ') or nil }
    end
  end
  return out
end

-- servers are those that variables and goroutines' frames lead to, by address.
local function servers()
  local byaddr, list = {}, {}
  local function add(s)
    if s ~= nil and not byaddr[ri.addr(s)] then
      byaddr[ri.addr(s)], list[#list + 1] = true, s
    end
  end
  for _, one in ipairs(http.listening()) do add(one.server) end
  for _, f in ipairs(ri.find('net/http.Server', { max = 1000 })) do add(f.value) end
  return list, add
end

-- serving are the goroutines of connections and HTTP/2 streams, by the address of the connection, or of the request.
local function serving()
  local byconn, conns, streams = {}, {}, {}
  for g, i in frames.of [[^net/http\.\(\*conn\)\.serve$]] do
    local c = frames.variable(g, i, 'c')
    if c ~= nil then
      byconn[ri.addr(c)] = g
      conns[#conns + 1] = c
    end
  end
  -- HTTP/2 is bundled in net/http (http2serverConn), or golang.org/x/net/http2, or net/http/internal/http2.
  for g, i in frames.of [[http2(\.\(\*s|s)erverConn\)\.runHandler$]] do
    local stream = { g = g }
    for j = i, 1, -1 do -- optimised code has the request in one of the frames between, mostly
      local found, vars = pcall(g.locals, g, j)
      for _, v in pairs(found and vars or {}) do
        local kind = type(v) == 'userdata' and ri.typeof(v) or ''
        if kind == '*net/http.Request' then stream.req = stream.req or v end
        if kind:find('http2.*[rR]esponseWriter$') then stream.rw = stream.rw or v end
        if kind:find('http2.*erverConn$') then stream.sc = stream.sc or v end
      end
      if stream.req and stream.rw then break end
    end
    streams[#streams + 1] = stream
  end
  return byconn, conns, streams
end

local function path(request, query)
  if request == nil then return nil end
  if query then return request.RequestURI end
  local url = request.URL
  return url ~= nil and url.Path or nil
end

-- state is a connection's, and for how long it is in it: the program notes whole seconds.
local function state(c)
  local word = c.curState
  if word == nil then return nil, nil end
  local since = ri.bit.rshift(word, 8)
  local age = ri.nanotime() and since > 0 and math.max(0, math.floor(ri.now()) - since) or nil
  return states[ri.bit.band(word, 0xff)], age
end

-- What a request's texts look like (RFC 9110). CONNECT has no path.
local looks = { method = "^[%w!#$%%&'*+.^_`|~-]+$", path = '^[/*]', proto = '^HTTP/%d' }

-- torn refuses a request that can't be one: in live memory it may be gone already, and something else be where it was.
local function torn(row)
  for name, like in pairs(looks) do
    local text = row[name]
    if text and not ri.token(text) and not (name == 'path' and text == '') and not text:find(like) then error('what is there is no request (any more)', 0) end
  end
  return row
end

--- What the program's net/http servers are serving, served for longest first.
-- @param options table {idle: connections without a request too, query: paths with their query}
-- @return table of {server, remote, proto, state, age (seconds), goroutine, method, path, status, written, stream}
-- @return table {servers, streams: int, states: list of names, count: by name, unread: int, why: of one of those}
function http.requests(options)
  local rows, count, order, seen, unread, why = {}, {}, {}, {}, 0, nil
  -- One that can't be read takes no other with it.
  local function attempt(f, what)
    local read, told = pcall(f, what)
    if not read then unread, why = unread + 1, why or tostring(told) end
  end
  local list, add = servers()
  local byconn, conns, streams = serving()
  local function connection(c)
    if seen[ri.addr(c)] then return end
    seen[ri.addr(c)] = true
    local word, age = state(c)
    word = word or '?'
    count[word] = (count[word] or 0) + 1
    if count[word] == 1 then order[#order + 1] = word end
    local response = c.curReq
    local request = response ~= nil and response.req or nil
    if request == nil and not options.idle then return end
    local g = byconn[ri.addr(c)]
    rows[#rows + 1] = torn {
      server = address(c.rwc), remote = c.remoteAddr, proto = request ~= nil and request.Proto or nil, state = word, age = age,
      goroutine = g and g.id or nil, method = request ~= nil and request.Method or nil, path = path(request, options.query),
      status = response ~= nil and response.status ~= 0 and response.status or nil, written = response ~= nil and response.written or nil,
    }
  end
  for _, c in ipairs(conns) do add(c.server) end
  local function active(s)
    for c in ri.pairs(s.activeConn) do
      if c ~= ri.null then attempt(connection, c) end
    end
  end
  for _, s in ipairs(list) do attempt(active, s) end -- a map that was read while it was written to has no end
  for _, c in ipairs(conns) do attempt(connection, c) end -- those that were hijacked, and those that such a map kept back
  local function stream(s)
    local request = s.req
    local rws = s.rw ~= nil and s.rw.rws or nil
    if request == nil and rws ~= nil then request = rws.req end
    local sc = s.sc or rws ~= nil and rws.conn or nil
    local number = rws ~= nil and rws.stream ~= nil and rws.stream.id or nil
    rows[#rows + 1] = torn {
      server = sc ~= nil and address(sc.conn) or nil, remote = request ~= nil and request.RemoteAddr or sc ~= nil and sc.remoteAddrStr or nil,
      proto = 'HTTP/2.0', state = 'stream', goroutine = s.g.id, method = request ~= nil and request.Method or nil, path = path(request, options.query), stream = number,
      status = rws ~= nil and rws.status ~= 0 and rws.status or nil, written = rws ~= nil and rws.wroteBytes or nil,
    }
  end
  for _, s in ipairs(streams) do attempt(stream, s) end
  table.sort(rows, function(a, b)
    if (a.age or -1) ~= (b.age or -1) then return (a.age or -1) > (b.age or -1) end
    return (a.goroutine or 0) < (b.goroutine or 0)
  end)
  table.sort(order)
  return rows, { servers = #list, streams = #streams, states = order, count = count, unread = unread, why = why }
end

return http

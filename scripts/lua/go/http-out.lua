-- Requests that the program makes with net/http, and that aren't done.

local words = require "words"

-- What a request waits for, by the innermost function of net/http's client that says so.
local states = {
  ["net/http.(*persistConn).roundTrip"] = "answer", ["net/http.(*Transport).getConn"] = "connection", ["net/http.(*Transport).queueForDial"] = "connection",
  ["net/http.(*http2clientStream).RoundTrip"] = "answer", ["net/http.(*http2ClientConn).roundTrip"] = "answer", ["net/http.(*http2ClientConn).RoundTrip"] = "answer",
  ["net/http.(*http2Transport).RoundTripOpt"] = "answer", ["net/http/internal/http2.(*ClientConn).roundTrip"] = "answer",
}

-- Where the request is among a frame's variables.
local asks = { ["net/http.(*Transport).roundTrip"] = "req", ["net/http.(*Client).send"] = "req", ["net/http.(*Client).do"] = "req" }

-- variable is one of a frame's, or nil where the compiler kept nothing of it.
local function variable(g, i, name)
  local ok, vars = pcall(function() return g:locals(i) end)
  return ok and vars[name] or nil
end

-- told is what there is to say of a request: its query may hold secrets.
local function told(req)
  local row = {}
  pcall(function()
    row.method = req.Method == "" and "GET" or req.Method
    row.host = req.URL.Host
    row.path = req.URL.Path
  end)
  return row
end

-- outside is the function that asked: the innermost of the program's own, else of whatever isn't net/http.
local function outside(frames, from)
  for i = from, #frames do
    if words.own(frames[i].func) then return frames[i].func end
  end
  for i = from, #frames do
    if not frames[i].func:find("^net/http%.") and not frames[i].func:find("^runtime%.") then return frames[i].func end
  end
end

return {
  title = "net/http: requests that the program makes",
  category = "go",
  description = [[
Lists the requests that the program's net/http clients have sent, or wait to send, and that aren't done, with the goroutine that makes each: it waits for a connection (a limit of
connections, a dial), for the answer's header, or the answer came and its body isn't read to the end. WAIT is for how long that goroutine is known to wait; the program notes no time of a
request. The path is shown without its query. http-client traces those that are answered from now on.]],
  needs = { types = { "net/http.Transport", "net/http.persistConn" }, runtime = { "goroutine" } },
  params = { { name = "host", type = "string", default = "", help = "only requests to such a host: a part of its name, or a regular expression" } },
  columns = {
    { name = "goroutine", type = "int", help = "that makes it; of a body that nobody reads just now, that which keeps its connection", key = true },
    { name = "state", help = "what it waits for: connection, answer, body" },
    { name = "wait", type = "duration", help = "longest wait known of that goroutine, at least" },
    { name = "method" },
    { name = "host", cut = "left" },
    { name = "path", help = "without its query", cut = "left" },
    { name = "status", type = "int", help = "of an answer whose body isn't done", optional = true },
    { name = "func", help = "who asked", cut = "left" },
  },
  sample = [[
GOROUTINE  STATE       WAIT  METHOD  HOST            PATH    STATUS  FUNC
       34  answer     12.1s  GET     10.0.0.7:8080   /slow        -  main.fetch
       35  connection     -  POST    10.0.0.7:8080   /first       -  main.post]],
  run = function(p)
    local list, bodies, readers = {}, {}, {}
    for g in ri.goroutines() do
      local frames, state, row, at = g:stack(64), nil, nil, nil
      for i, f in ipairs(frames) do
        state = state or states[f.func]
        if asks[f.func] and not row then
          local req = variable(g, i, asks[f.func])
          if req then row = told(req) end
        end
        if asks[f.func] then at = i end
        if f.func == "net/http.(*bodyEOFSignal).Read" then
          local body = variable(g, i, "es")
          if body then readers[tostring(ri.addr(body))] = { g = g, func = outside(frames, i + 1) } end
        elseif f.func == "net/http.(*persistConn).readLoop" and i <= 3 then
          local resp = variable(g, i, "resp")
          if resp then bodies[#bodies + 1] = { g = g, resp = resp } end
        end
      end
      if at then
        row = row or {}
        row.goroutine, row.state, row.wait, row.func = g.id, state or "answer", g.wait, outside(frames, at + 1)
        list[#list + 1] = row
      end
    end
    for _, b in ipairs(bodies) do
      pcall(function()
        if b.resp.Request == nil or b.resp.Body == nil then return end
        local row = told(b.resp.Request)
        local reader = readers[tostring(ri.addr(b.resp.Body))]
        local g = reader and reader.g or b.g
        row.goroutine, row.state, row.wait, row.status, row.func = g.id, "body", g.wait, b.resp.StatusCode, reader and reader.func
        list[#list + 1] = row
      end)
    end
    local n, count = 0, {}
    for _, row in ipairs(list) do
      if ri.match(row.host or "", p.host) then
        n, count[row.state] = n + 1, (count[row.state] or 0) + 1
        row.wait = row.wait and math.floor(row.wait * 1e9) or nil
        ri.emit(row)
      end
    end
    local parts = {}
    for _, state in ipairs { "connection", "answer", "body" } do
      if count[state] then parts[#parts + 1] = ("%d wait for %s"):format(count[state], state == "connection" and "a connection" or state == "answer" and "the answer" or "the body to be read") end
    end
    print(words.count(n, "request") .. (#parts > 0 and ": " .. table.concat(parts, ", ") or ""))
  end,
}

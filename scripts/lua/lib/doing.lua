--- What a process is doing, in a few lines, whatever is or isn't wrong with it: what `ri check` ends with.
--
-- Each line is a subject and what is to be said of it. A part that can't be had is said so, and why; it never takes the others with it.

local http = require("http_server")
local locks = require("checks_locks")
local packs = require("checks_packs")
local runtime = require("runtime")
local spinning = require("checks_spinning")
local waits = require("waits")
local words = require("words")

local doing = {}

-- How many places, peers and paths a line names.
local most = 5

-- From how many bytes on something that waits to be read or sent, or memory that isn't Go's, is told.
local behind, foreign = 2 ^ 20, 32 * 2 ^ 20

-- A fraction of a second, or what the digits of seconds tell.
local function seconds(s) return words.duration(math.max(0, math.floor(s * 1000)) * 1000000) end

-- place is where a group of goroutines stands, in the program's own code.
local function place(g)
  local f = locks.frame(g)
  return f and ("%s (%s)"):format(f.func, waits.short(f)) or "?"
end

local function state(g) return g.wait_reason ~= "" and g.wait_reason or g.status end

-- ranked makes a list of what was counted, the largest number first, and then by name.
local function ranked(counted)
  local list = {}
  for name, n in pairs(counted) do list[#list + 1] = { name = name, n = n } end
  table.sort(list, function(a, b)
    if a.n ~= b.n then return a.n > b.n end
    return a.name < b.name
  end)
  return list
end

-- lines writes the first few of a ranked list, and how many others there are.
local function lines(list, write, word)
  local out, rest = {}, 0
  for i, one in ipairs(list) do
    if i <= most then out[i] = write(one) else rest = rest + one.n end
  end
  if #list > most then out[#out + 1] = ("%d more in %s"):format(rest, words.count(#list - most, word)) end
  return out
end

local function requests(l)
  if not ri.type then return nil end
  local ok = pcall(ri.type, "net/http.Server")
  if not ok then return nil end
  local all, seen = http.requests { idle = false }
  local flying, counted = {}, {}
  for _, r in ipairs(all) do
    flying[#flying + 1] = r
    local g = r.goroutine and l.state[r.goroutine]
    local where = g and place(g) .. ": " .. state(g) or "whose goroutine isn't known"
    counted[where] = (counted[where] or 0) + 1
  end
  local unread = seen.unread > 0 and words.count(seen.unread, "connection") .. " changed while it was read" or nil
  if #flying == 0 then
    return seen.servers > 0 and { "none in flight", unread } or nil
  end
  local out = { ("%d in flight"):format(#flying) }
  local oldest = flying[1]
  if oldest.age then
    out[1] = out[1] .. (", the oldest for %s: %s %s"):format(seconds(oldest.age), oldest.method or "?", oldest.path or "?")
  end
  for _, line in ipairs(lines(ranked(counted), function(one) return ("%d in %s"):format(one.n, one.name) end, "place")) do out[#out + 1] = line end
  out[#out + 1] = unread
  return out, "ri run http"
end

-- package is that of a function's name.
local function package(func) return func:match("^(.*/[^/.]*)%.") or func:match("^([^/.]*)%.") or func end

local function goroutines(l)
  local own, others, all, beside, unread = {}, {}, 0, 0, 0
  for _, g in ipairs(l.groups) do
    local f = locks.frame(g)
    all = all + g.count
    if f and not locks.standard(f.func) then
      local where = place(g) .. ": " .. state(g)
      own[where] = (own[where] or 0) + g.count
    elseif not f then
      unread = unread + g.count
    else
      local name = package(f.func)
      others[name], beside = (others[name] or 0) + g.count, beside + g.count
    end
  end
  local out = { words.count(all, "goroutine") }
  for _, line in ipairs(lines(ranked(own), function(one) return ("%d in %s"):format(one.n, one.name) end, "place")) do out[#out + 1] = line end
  if beside > 0 then
    local names = lines(ranked(others), function(one) return ("%s %d"):format(one.name, one.n) end, "package")
    out[#out + 1] = ("%d in code of the standard library alone: %s"):format(beside, table.concat(names, ", "))
  end
  if unread > 0 then out[#out + 1] = ("%d whose stacks can't be read"):format(unread) end
  return out, "ri run goroutines"
end

local function memory(l)
  local c = ri.var "runtime.gcController"
  local go = c.mappedReady
  local parts = { ("Go has %s"):format(words.bytes(go)) }
  if runtime.has(c, "heapMarked") and ri.cmp(c.heapMarked, 0) > 0 then parts[#parts + 1] = ("%s of it were alive at the last collection"):format(words.bytes(c.heapMarked)) end
  local usage = l.usage
  if not usage then return { table.concat(parts, "; ") }, "ri run memory" end
  table.insert(parts, 1, ("%s resident"):format(words.bytes(usage.resident)))
  local beyond = usage.resident - usage.file - ri.float(go)
  if beyond >= foreign then
    parts[#parts + 1] = ("%s aren't Go's: C, or mapped by the program itself"):format(words.bytes(beyond))
  end
  if usage.swap > 0 then parts[#parts + 1] = words.bytes(usage.swap) .. " are swapped out" end
  return { table.concat(parts, "; ") }, "ri run heap"
end

local function cpu(l)
  local first, last = l.usage, l.usage_after
  local out = {}
  if first and last and last.at - first.at > 0.05 then
    out[1] = ("%.2f CPUs were used in %s"):format((last.cpu - first.cpu) / (last.at - first.at), seconds(last.at - first.at))
  elseif first then
    out[1] = ("%s of CPU time since the start"):format(seconds(first.cpu))
  end
  local burns = spinning.burns(l)
  for i = 1, math.min(most, #burns) do out[#out + 1] = burns[i] end
  if #burns > most then out[#out + 1] = ("%d more goroutines burn CPU"):format(#burns - most) end
  local counted = {}
  for _, g in ipairs(#burns == 0 and l.groups or {}) do
    if g.status == "running" or g.status == "runnable" then
      local where = place(g)
      counted[where] = (counted[where] or 0) + g.count
    end
  end
  for _, line in ipairs(lines(ranked(counted), function(one) return ("%d ready or running in %s"):format(one.n, one.name) end, "place")) do
    out[#out + 1] = line
  end
  if #out == 0 then return nil end
  return out, ri.target().kind == "process" and "ri run cpu" or nil
end

--- Groups sockets by state and the other end: what came in by the port that it came to, what went out by where it went.
-- @param list table, of ri.descriptors
-- @return table of {name, n, send: bytes, receive: bytes}, the largest number first
function doing.peers(list)
  local listening = {}
  for _, d in ipairs(list) do
    local s = d.socket
    if s and s.state == "LISTEN" then listening[s.local_port or s.local_address] = true end
  end
  local known, tokens, out = {}, {}, {}
  for _, d in ipairs(list) do
    local s = d.socket
    if s and s.protocol ~= "?" and s.state ~= "LISTEN" then
      local own = s.local_port
      local name
      if (s.remote_address or "") == "" then
        name = ("%s %s"):format(s.protocol, s.state ~= "" and s.state or "unconnected")
      elseif own and listening[own] then
        name = ("%s from clients of :%s"):format(s.state, own)
      else
        name = ("%s to %s"):format(s.state, s.remote_address)
      end
      local by = ri.token(name) and tokens or known -- the two can't be compared
      local one = by[name]
      if not one then
        one = { name = name, n = 0, send = 0, receive = 0 }
        by[name], out[#out + 1] = one, one
      end
      one.n, one.send, one.receive = one.n + 1, one.send + (s.send or 0), one.receive + (s.receive or 0)
      for _, way in ipairs { "send", "receive" } do
        if (s[way] or 0) > (one["most_" .. way] or 0) then one["most_" .. way], one["peer_" .. way] = s[way], s.remote_address end
      end
    end
  end
  table.sort(out, function(a, b)
    if a.n ~= b.n then return a.n > b.n end
    return a.name < b.name
  end)
  return out
end

-- backlog tells what waits in a group's sockets, and where most of it does.
local function backlog(one, way, what)
  if one[way] < behind then return "" end
  local text = (", %s %s"):format(words.bytes(one[way]), what)
  local peer = one["peer_" .. way]
  if one.n == 1 or not peer or ri.token(peer) then return text end
  return text .. (", %s of it %s"):format(words.bytes(one["most_" .. way]), (way == "send" and "by " or "from ") .. peer)
end

local function sockets()
  local list, why = ri.descriptors()
  if why then return nil end
  local peers, all = doing.peers(list), 0
  for _, one in ipairs(peers) do all = all + one.n end
  if all == 0 then return { ("%s, no connection"):format(words.count(#list, "descriptor")) }, nil end
  local out = { ("%s, of %s"):format(words.count(all, "connection"), words.count(#list, "descriptor")) }
  for _, line in ipairs(lines(peers, function(one)
    return ("%d %s"):format(one.n, one.name) .. backlog(one, "send", "not acknowledged") .. backlog(one, "receive", "not read")
  end, "group")) do out[#out + 1] = line end
  return out, "ri run conns"
end

local parts = {
  { "requests", requests }, { "goroutines", goroutines }, { "memory", memory }, { "cpu", cpu }, { "sockets", sockets },
}

--- Notes what is compared, in the first look.
-- @param l table, the look of the check
function doing.first(l) l.usage = ri.usage() end

--- Says what the process is doing, a row a subject.
-- @param l table, the look of the check
function doing.tell(l)
  l.usage_after = l.second and ri.usage() or nil
  local commands = {}
  if ri.target().kind == "core" then commands[1] = "ri crash" end
  for _, pack in ipairs(packs) do
    if pack.fits() then
      local ok, out = pcall(pack.doing or function() return {} end)
      if ok and #out > 0 then ri.emit { subject = pack.subject, what = out, command = pack.next } end
      commands[#commands + 1] = pack.next
    end
  end
  for _, part in ipairs(parts) do
    local ok, out, command = pcall(part[2], l)
    if not ok then
      ri.emit { subject = part[1], what = { "not known: " .. tostring(out):gsub("^[^:]*%.lua:%d+: ", "") } }
    elseif out and #out > 0 then
      ri.emit { subject = part[1], what = out, command = command }
      commands[#commands + 1] = command
    end
  end
  if #commands > 0 then ri.emit { subject = "next", what = { table.concat(commands, ", ") } } end
end

return doing

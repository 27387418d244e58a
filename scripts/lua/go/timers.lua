-- What is to happen later: the timers of all Ps.

local runtime = require 'runtime'
local channel = require 'channel'
local timers = require 'timers'

-- names of the runtime's and package time's own functions, as what they do.
local kinds = {
  ['runtime.goroutineReady'] = 'sleep',
  ['time.sendTime'] = 'channel',
  ['time.goFunc'] = 'func',
  ['runtime.netpollDeadline'] = 'deadline',
  ['runtime.netpollReadDeadline'] = 'read deadline',
  ['runtime.netpollWriteDeadline'] = 'write deadline',
}

-- called names a func value's function; of a method value, and what it is bound to.
local function called(f)
  local is = ri.func(f)
  local bound = is.captured.receiver
  if not bound then return is.name end
  return ("%s of %s"):format((is.name:gsub("%-fm$", "")), ("(%s)(%s)"):format(ri.typeof(bound), ri.hex(ri.addr(bound))))
end

-- behind says what a timer wakes: a function that is called, the goroutines that wait.
local function behind(kind, t)
  local arg = t.arg
  if arg == nil then return nil, nil end
  if kind == 'func' then return called(arg), nil end
  if kind == 'sleep' then return nil, { arg.goid } end
  if kind == 'channel' then
    local waiting = {}
    for g in channel.waiters(arg, 'recvq') do
      if g ~= nil and #waiting < 100 then waiting[#waiting + 1] = g.goid end
    end
    return nil, waiting
  end
  -- A pollDesc is no ordinary heap object, so an interface holds a pointer to a pointer to it (runtime.pollDesc.makeArg).
  local pd = ri.at(ri.addr(arg), '*runtime.pollDesc')
  if pd == nil then return nil, nil end
  local waiting = {}
  for _, g in ipairs { kind ~= 'write deadline' and pd.rg or 0, kind ~= 'read deadline' and pd.wg or 0 } do
    if g > 2 then waiting[#waiting + 1] = ri.at(g, 'runtime.g').goid end
  end
  return 'file descriptor ' .. pd.fd, waiting
end

local function before(a, b)
  if type(a) == 'number' and type(b) == 'number' then return a < b end
  return ri.cmp(a, b) < 0
end

-- soonest gives the timers that are due first, in that order: so many at most, if that is given; and how many there are more.
local function soonest(most)
  local all, more, last = {}, 0, nil
  local plain = true -- all times are numbers of Lua's own, which compare in one instruction
  local function sort()
    table.sort(all, plain and function(a, b) return a.when < b.when end or function(a, b) return before(a.when, b.when) end)
    while most and #all > most do
      table.remove(all)
      more = more + 1
    end
    last = most and all[most] and all[most].when
  end
  local function worth(when)
    if not last or before(when, last) then return true end
    more = more + 1
    return false
  end
  for processor in runtime.processors() do
    for t, when in timers.of(processor, worth) do
      plain = plain and type(when) == 'number'
      all[#all + 1] = { t = t, when = when, p = processor.id }
      if most and #all >= 2 * most then sort() end
    end
  end
  sort()
  return all, more
end

local function start(id)
  local g = ri.goroutine(id)
  return g and g.start.func or nil
end

return {
  title = "timers: when each is due, and who waits for it",
  category = "go",
  description = [[
Lists the timers that are set, the next first: of time.AfterFunc, Timer and Ticker, Sleep, deadlines of connections and contexts. Since Go 1.23
the runtime keeps a Timer or Ticker with a channel only while a goroutine waits at the channel. DUE is negative for one that should have fired: of a core
it is reckoned from the latest time that the runtime had noted.]],
  needs = { runtime = { "timer", "queue" } },
  params = {
    { name = "func", type = "string", default = "", help = "only with such a function, or started by one" },
    { name = "limit", type = "int", default = 1000, min = 1, max = 1000000, help = "at most so many, those that are due first" },
  },
  columns = {
    { name = "due", type = "duration", help = "until it fires" },
    { name = "period", type = "duration", help = "of a Ticker" },
    { name = "kind", help = "func (AfterFunc), channel (Timer, Ticker, After), sleep, deadlines of the netpoller" },
    { name = "p", type = "int", help = "the P that keeps it" },
    { name = "goroutine", help = "who waits for it" },
    { name = "what", help = "the function it calls, or the one of the goroutine that waits", cut = "left" },
    { name = "addr", type = "address", help = "of the timer", hidden = true, key = true },
  },
  sample = [[
     DUE  PERIOD  KIND     P  GOROUTINE  WHAT
    4.2s       -  sleep    0         23  main.sleeper
  59m58s       -  func     1          -  main.whenItIsLate
1h29m58s   1h30m  channel  1         22  main.timers.func1]],
  run = function(p)
    local now = runtime.nanotime()
    local all, more = soonest(p.func == '' and p.limit + 1 or nil)
    local given = 0
    for _, one in ipairs(all) do
      local f = one.t.f ~= nil and ri.func(one.t.f).name or '?'
      local kind = kinds[f] or 'runtime'
      local what, waiting = f, nil
      if kind ~= 'runtime' then what, waiting = behind(kind, one.t) end
      if not what and waiting and waiting[1] then what = start(waiting[1]) end
      if p.func == '' or ri.match(what or '', p.func) then
        if given == p.limit then
          print(('%d timers are shown, and there are %s more (limit=%d)'):format(given, tostring(#all - given + more), p.limit))
          return
        end
        given = given + 1
        ri.emit {
          due = one.when - now, period = one.t.period ~= 0 and one.t.period or nil, kind = kind, p = one.p,
          goroutine = waiting and (#waiting == 1 and waiting[1] or #waiting > 1 and waiting or nil) or nil, what = what,
          addr = ri.addr(one.t),
        }
      end
    end
  end,
}

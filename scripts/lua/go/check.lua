-- What is wrong with a process that nothing is known of: a row of checks, each of which gives findings.

local locks = require("checks_locks")
local never = require("checks_never")
local probable = require("checks_probable")
local context = require("checks_context")
local death = require("checks_died")
local pools = require("checks_pools")
local state = require("checks_state")
local doing = require("doing")
local holders = require("checks_holders")
local finalizers = require("checks_finalizers")
local findings = require("findings")
local livelock = require("livelock")
local packs = require("checks_packs")
local stopped = require("checks_stopped")
local unclosed = require("checks_unclosed")

-- All checks, in the order in which they are told. Each has a name; a function of the look that gives findings, or nothing
-- and why there is nothing to check (and true, where there would be something); and what it needs: "heap", a copy of all
-- memory; "moment", memory of one moment, since it concludes from what isn't there.
local all = {}
for _, part in ipairs { death, stopped, locks, holders, pools, never, probable, context, unclosed, finalizers, state, packs } do
  for _, check in ipairs(part) do
    check.part = part
    all[#all + 1] = check
  end
end

-- Checks that conclude from what hasn't gone on between the looks: in a world that stands still nothing has. A goroutine may stand in the middle of a
-- channel's operation there, and have what another waits for in its registers alone.
local timed = {}
for _, name in ipairs { "lock-left", "lock-held", "full-queue", "wait-group", "context", "sql-pool", "goroutine-leak", "spinning", "blocked-forever", "finalizers" } do timed[name] = true end

local names = {}
for i, check in ipairs(all) do names[i] = check.name end

-- chosen gives the names of the checks that are to be run.
local function chosen(p)
  local set = {}
  for name in (p.only ~= "" and p.only or table.concat(names, ",")):gmatch("[^,]+") do set[name] = true end
  for name in p.skip:gmatch("[^,]+") do set[name] = nil end
  return set
end

-- plain is an error without the place in the script.
local function plain(why) return (tostring(why):gsub("^[^:]*%.lua:%d+: ", "")) end

-- sure leaves of those that hold a lock the ones of which the code says so: that nobody else does is not known of live
-- memory.
local function sure(holders)
  local out = {}
  for _, h in ipairs(holders) do
    if not h.possibly then out[#out + 1] = h end
  end
  return out
end

-- attempt does a part's share of a look. One that fails leaves the others to find what they can.
local function attempt(l, part, f)
  local ok, why = pcall(f, l)
  if not ok then l.broken[part] = plain(why) end
end

-- torn tells whether some of those who wait for locks were found in no queue: in live memory a queue can change while it is read.
local function torn(l)
  local missing = 0
  for _, g in ipairs(l.groups) do
    if locks.locking[g.wait_reason] then missing = missing + #g.ids end
  end
  for _, lock in ipairs(l.waits.locks) do
    if lock.kind ~= "WaitGroup" then missing = missing - lock.want.count - lock.rwant.count end
  end
  return l.waits.unread ~= nil or missing > 0
end

-- most is how often live memory is read again whose queues didn't fit together.
local most = 4

-- look gathers what the checks share: the queues, the groups of stacks, and which goroutines have not run between two looks.
local function look(p, wanted)
  local target = ri.target()
  local l = { params = p, wanted = wanted, core = target.kind ~= "process" and (target.looks or 0) < 2, seconds = p.interval / 1e9, live = target.view == "live", broken = {}, told = {} }
  -- A core, or a process in its last moment, has one moment only: there, what waits is taken to have waited for long if the runtime says so. Those that wait
  -- for each other can't go on anyway.
  l.second = not l.core and l.seconds > 0
  -- First of all: what is read after it, of a goroutine that doesn't run until the second look, is of one moment even in
  -- live memory.
  for tries = 1, most do
    l.mark = ri.mark()
    l.waits = ri.waits { users = true }
    l.groups = ri.stacks { all = true }
    if not l.live or l.core or tries == most or not torn(l) then break end
    ri.again(0.001)
  end
  local mark = l.mark
  if target.plugins then
    -- Who holds a lock, and who may still come, is told by the code of functions on stacks.
    l.nomoment = ("code of plugin %s isn't read: who may still come isn't known"):format(table.concat(target.plugins, ", "))
  end
  l.state = {}
  for _, g in ipairs(l.groups) do
    for _, id in ipairs(g.ids) do l.state[id] = g end
  end
  if l.live then
    l.nomoment = l.nomoment or target.less or "it needs memory of one moment: --view snapshot"
    l.noheap = target.less or "it needs memory of one moment: --view snapshot" -- what moves meanwhile would be taken for unreachable
    for _, lock in ipairs(l.waits.locks) do lock.holders = sure(lock.holders) end
  elseif never.needs_heap(l) or state.needs_heap(l) or unclosed.needs_heap(l) then
    l.heap, l.noheap = ri.heap { optional = true }
  end
  l.blocked = l.heap and l.heap:blocked_groups() or {}
  if l.heap then
    for _, lock in ipairs(l.waits.locks) do
      if lock.name == "" and lock.kind ~= "WaitGroup" then
        local o = l.heap:object(lock.addr)
        if o and o.type ~= "" and not o.type:find("^sync%.") and not o.type:find("^%(") then lock.name = "of a " .. o.type end
      end
    end
  end
  -- went tells whether a goroutine has gone on since: then what the copy shows was a moment, as of a timer that is just about to send.
  function l.went(id) return l.second and not mark:still(id) end
  function l.never(id) return l.heap ~= nil and l.heap:never(id) and not l.went(id) end
  attempt(l, locks, locks.prepare)
  attempt(l, holders, holders.first)
  attempt(l, stopped, stopped.first)
  attempt(l, livelock, livelock.first)
  l.count = mark.count
  attempt(l, never, never.first)
  attempt(l, context, context.find)
  attempt(l, doing, doing.first)
  attempt(l, unclosed, unclosed.first)
  if l.wanted["finalizers"] then attempt(l, finalizers, finalizers.first) end
  if l.second and l.wanted["sql-pool"] then attempt(l, pools, pools.first) end
  attempt(l, state, state.first)
  if l.second then state.between(l) end
  attempt(l, holders, holders.adopt)
  l.frozen = stopped.frozen(l)
  local known = {}
  function l.still(id)
    if known[id] == nil then
      if l.frozen then
        known[id] = l.never(id)
      elseif l.second then
        known[id] = mark:still(id)
      else
        local g = l.state[id]
        known[id] = g ~= nil and (g.status == "waiting" or g.status == "syscall") and g.wait ~= nil and g.wait >= 1
      end
    end
    return known[id]
  end
  -- waited says for how long a goroutine is known not to have run.
  function l.waited(id)
    local g = l.state[id]
    if g and g.wait and g.count == 1 then return ("waits since at least %s"):format(ri.duration(math.floor(g.wait * 1000) * 1000000)) end
    if l.second then return ("did not run for the %s between two looks; since when is not recorded"):format(ri.duration(p.interval)) end
    return "since when is not recorded"
  end
  return l
end

-- account runs the checks that are wanted, and tells what came of each. Those that a limit kept from being run are told by
-- why.
local function account(wanted)
  local found, done, skipped, left, todo = {}, {}, {}, {}, {}
  for _, check in ipairs(all) do
    if wanted[check.name] then todo[#todo + 1] = check end
  end
  local function leave(check, why)
    for _, group in ipairs(left) do
      if group.why == why then
        table.insert(group.names, check.name)
        return
      end
    end
    left[#left + 1] = { why = why, names = { check.name } }
  end
  local function run(l, check)
    if check.fits and not check.fits(l) then return end
    if l.frozen and timed[check.name] then return leave(check, l.frozen) end
    if check.needs == "heap" and l.noheap then return leave(check, l.noheap) end
    if check.needs and l.nomoment then return leave(check, l.nomoment) end
    local ok, list, why, missing = pcall(check.run, l)
    if not ok then return leave(check, l.broken[check.part] or plain(list)) end
    if missing then return leave(check, why) end
    if not list then
      ri.checked(check.name, why or "no reason given")
      skipped[#skipped + 1] = ("%s (%s)"):format(check.name, why or "no reason given")
      return
    end
    ri.checked(check.name)
    done[#done + 1] = check.name
    for _, f in ipairs(list) do
      f.check = check.name
      found[#found + 1] = f
    end
  end
  local next_one = 1
  return {
    run = function(l)
      while todo[next_one] do
        run(l, todo[next_one])
        next_one = next_one + 1
      end
    end,
    tell = function(l, why)
      for i = next_one, #todo do
        if not todo[i].fits then leave(todo[i], why) end
      end
      found = findings.sort(findings.merge(found))
      for _, f in ipairs(found) do ri.finding(f) end
      local count = #found == 0 and "nothing found" or #found == 1 and "1 finding" or #found .. " findings"
      print(("%s; checked: %s"):format(count, #done > 0 and table.concat(done, ", ") or "nothing"))
      for _, group in ipairs(left) do
        for _, name in ipairs(group.names) do ri.checked(name, group.why) end
        ri.leaveout(("%s: %s"):format(table.concat(group.names, ", "), group.why))
      end
      if #skipped > 0 then print("not checked: " .. table.concat(skipped, "; ")) end
      if l and l.waits and l.waits.unread then print(l.waits.unread) end
      if l and l.params.only == "" then attempt(l, doing, doing.tell) end
      if l and l.broken[doing] then ri.leaveout("what it is doing: " .. l.broken[doing]) end
    end,
  }
end

return {
  title = "what is wrong: deadlocks, what waits for ever, leaks",
  category = "go",
  description = [[
Looks for what makes a Go process hang, leak or crawl, in a process of which nothing is known, and gives findings, the worst first: what, where, the
evidence, and what to look at next. Exits with 3 if anything was found. Long waits alone are no finding: idle workers are healthy.

There are two looks, interval apart; the second doesn't stop the process. Between them a goroutine that is said to be stuck has not run. Of a core there is one.

Where a copy of all memory would stop the process for too long, the goroutines' own pages are copied; where that would,
memory is read while the program runs. What can't be found so is left out by name: ri then exits with 5, if it found
nothing.

Go records no holder of a lock. Who holds one is inferred: from the machine code of the functions on each stack, which says where Lock was
passed and Unlock was not.]],
  less = true,
  needs = { runtime = { "queue", "lock" }, fields = { "runtime.g.trackingSeq" } },
  params = {
    { name = "interval", type = "duration", default = "1s", min = 0, max = "1h", help = "between the two looks; 0: one look" },
    { name = "only", type = "enums", values = names, default = "", help = "only these checks" },
    { name = "skip", type = "enums", values = names, default = "", help = "not these checks" },
  },
  columns = {
    { name = "subject", help = "what the process is doing: requests, goroutines, memory, cpu, sockets; next: what to ask then", key = true },
    { name = "what", help = "in a few lines" },
    { name = "command", help = "that shows more", hidden = true },
  },
  sample = [[
critical: deadlock: 2 goroutines wait for each other's locks, and 3 more behind them
  where: goroutine 7 in main.transfer (bank.go:41), goroutine 8 in main.transfer (bank.go:41)

SUBJECT     WHAT
requests    30 in flight, the oldest for 42s: GET /orders
            30 in main.query (db.go:31): chan receive
goroutines  152 goroutines
            30 in main.query (db.go:31): chan receive
            122 in code of the standard library alone: net/http 122
memory      412 MiB resident; Go has 120 MiB; 290 MiB aren't Go's: C, or mapped by the program itself
next        ri run http, ri run goroutines, ri run heap]],
  run = function(p)
    local wanted = chosen(p)
    if next(wanted) == nil then error("no check is left: skip has all that only has", 0) end
    local told = account(wanted)
    ri.atlimit(function() told.tell(nil, "a limit came first") end)
    local l = look(p, wanted)
    told.run(l)
    told.tell(l)
  end,
}

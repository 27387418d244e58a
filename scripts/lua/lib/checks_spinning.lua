--- The check of `ri check` for goroutines that spin: that run all the time in one loop, and get nowhere.
--
-- That a goroutine runs all the time is no finding: it may have much to do. It spins if its loop has no way out, or if all ways out depend on
-- something that the loop itself doesn't lead on, and nothing is computed meanwhile; or if it asks again and again for what can't come: more of a
-- reader that is at its end, a connection of a listener that is closed. The machine code tells the first, what was seen on the stack the second.
-- Any other is taken for work: it burns CPU, which is said among what the process is doing.

local cause = require("spin_cause")
local locks = require("checks_locks")
local waits = require("waits")
local watch = require("spin_watch")
local words = require("words")

-- What a loop that waits may call of the standard library. Names without a package are of the runtime's assembly.
local asks = { "^runtime[%./]", "^internal/", "^sync%.", "^sync/atomic%.", "^time%.", "^context%.", "^[%w_]+$" }

-- What of the runtime tells that something is made.
local makes = { "^runtime%.mallocgc", "^runtime%.newobject", "^runtime%.makeslice", "^runtime%.growslice", "^runtime%.mapassign", "^runtime%.gcAssist", "^runtime%.makemap" }

-- What of the standard library gives the same for the same arguments, or asks the system: a loop that waits for another answer only, and leads nothing
-- on, gets none.
local pure = {
  "^strconv%.", "^strings%.[A-Z]", "^bytes%.[A-Z]", "^unicode", "^encoding/json%.Unmarshal", "^encoding/json%.Valid", "^encoding/hex%.", "^encoding/base64%.",
  "^net%.Lookup", "^net%.%(%*Resolver%)%.Lookup", "^net%.Parse", "^net/url%.[A-Z]", "^net/netip%.[A-Z]", "^net/mail%.[A-Z]", "^time%.Parse", "^regexp%.Match", "^path", "^os%.Stat", "^os%.Lstat",
  "^os%.Getenv", "^os%.LookupEnv", "^os/exec%.LookPath", "^os/user%.Lookup", "^errors%.", "^os%.Is", "^mime%.", "^go/parser%.", "^crypto/x509%.Parse",
}

local function matches(func, patterns)
  for _, pattern in ipairs(patterns) do
    if func:find(pattern) then return true end
  end
  return false
end

-- literal is a text as a pattern.
local function literal(text) return (text:gsub("[^%w]", "%%%0")) end

-- only tells whether all of some functions match one of two lists of patterns, and one of them the second.
local function only(funcs, a, b)
  local one = false
  for _, func in ipairs(funcs) do
    one = one or matches(func, b)
    if not matches(func, a) and not matches(func, b) then return false end
  end
  return one
end

-- own is the innermost of the program's own frames among the outermost n, and which of them it is.
local function own(reversed, n)
  for i = math.min(n, #reversed), 1, -1 do
    if not locks.standard(reversed[i].func) then return reversed[i], i end
  end
  return nil
end

-- reversed gives a stack from its outermost frame on, without what the runtime was called for at its end: a select with a default, a map access, a
-- preemption are a part of the statement that asked for them.
local function reversed(frames)
  local from, out = 1, {}
  while frames[from] and (frames[from].func:find("^runtime%.") or frames[from].func:find("^internal/runtime/")) do from = from + 1 end
  for k = #frames, from, -1 do out[#out + 1] = frames[k] end
  return out
end

-- moves tells whether the frames outside of a frame differ between two looks: then it was called anew.
local function moves(a, b, at, bt)
  local x, y = a.kept, b.kept
  local from, to = at.cfa - x.low, bt.cfa - y.low
  return x.bytes:sub(from + 1) ~= y.bytes:sub(to + 1)
end

-- works tells whether what a loop calls has something to do; and whether it calls a function of the program. spare, if there is one, are functions
-- that don't count, nor what they make.
local function works(look, stack, at, idle, spare)
  for _, f in ipairs(look.frames) do
    if not f.func:find("^runtime%.") then break end
    if not spare and matches(f.func, makes) then return true end
  end
  local called = {}
  for i = at + 1, #stack do
    local f = stack[i]
    if spare and matches(f.func, spare) then break end
    if locks.standard(f.func) then
      if not matches(f.func, asks) then return true end
    elseif not f.inlined and f.pc ~= stack[at].pc and not f.func:find("%.deferwrap%d+$") and not f.func:find("%-fm$") then
      local loops, stores = ri.loops(f.pc)
      if loops or stores and not idle[f.func] or called[f.func] then return true end -- it computes, changes something, or calls itself
      called[f.func], called.any = true, true
    end
  end
  return false, called.any
end

-- idle finds the functions that were seen more than once, and whose receivers were the same each time: they might have changed them, and didn't.
local function idle(looks)
  local out, known = {}, {}
  for _, look in ipairs(looks) do
    for func, bytes in pairs(look.receivers) do
      if known[func] == nil then
        known[func] = bytes
      else
        out[func] = out[func] ~= false and known[func] == bytes
      end
    end
  end
  return out
end

-- place finds the loop in which a goroutine was at all looks: the frame outside of which nothing changes, and whose code goes round.
local function place(looks)
  local stacks, shortest = {}, math.huge
  for i, look in ipairs(looks) do
    stacks[i] = reversed(look.frames)
    shortest = math.min(shortest, #stacks[i])
  end
  local first, common = stacks[1], 0
  while common < shortest - 1 do
    for _, s in ipairs(stacks) do
      local x, y = first[common + 1], s[common + 1]
      if x.func ~= y.func or x.pc ~= y.pc then goto apart end
    end
    common = common + 1
  end
  ::apart::
  if not first[common + 1] then return nil end -- all of it is the runtime's
  local index = common + 1
  for i, s in ipairs(stacks) do
    while index > 1 and moves(looks[1], looks[i], first[index], s[index]) do index = index - 1 end
  end
  while index >= 1 do
    local pcs, same = {}, true
    for i, s in ipairs(stacks) do
      pcs[i], same = s[index].pc, same and s[index].func == first[index].func
    end
    local loop = same and not locks.standard(first[index].func) and ri.loop(unpack(pcs))
    if loop then return { stacks = stacks, index = index, at = first[index], loop = loop, common = common } end
    index = index - 1
  end
  return { stacks = stacks, common = common }
end

-- described says what a descriptor is, from what the kernel says of it.
local function described(l, fd)
  if l.files == nil then
    l.files = {}
    local ok, list = pcall(ri.descriptors)
    for _, d in ipairs(ok and list or {}) do l.files[d.fd] = d end
  end
  local d = l.files[fd]
  if not d then return ("descriptor %s"):format(tostring(fd)) end
  local s = d.socket
  if s and (s.remote_address or "") ~= "" then
    return ("descriptor %d: %s %s to %s, %s"):format(fd, s.protocol, s.local_address, s.remote_address, s.state)
  elseif s and (s.local_address or "") ~= "" then
    return ("descriptor %d: %s %s %s"):format(fd, s.protocol, s.local_address, s.state)
  end
  return ("descriptor %d: %s"):format(fd, d.path ~= "" and d.path or d.kind)
end

-- within_library finds the loop in which a goroutine was at all looks where it is one of the standard library's: io.Copy, say.
local function within_library(p)
  for index = p.common + 1, 1, -1 do
    local pcs, same = {}, true
    for i, s in ipairs(p.stacks) do
      local f = s[index]
      pcs[i], same = f and f.pc, same and f ~= nil and f.func == p.stacks[1][index].func
    end
    local at = p.stacks[1][index]
    local loop = same and not at.func:find("^runtime[%./]") and ri.loop(unpack(pcs))
    if loop then
      p.index, p.at, p.loop, p.library = index, at, loop, true
      return
    end
  end
end

-- computes tells whether a goroutine was seen in an inner loop that comes to its end by itself: it has something to do each round.
local function computes(p)
  for _, s in ipairs(p.stacks) do
    local inner = ri.loop(s[p.index].pc)
    if inner and inner.low ~= p.loop.low and inner.counts then return true end
  end
  return false
end

-- polls tells whether a goroutine was seen to ask channels, on which nothing was, in most looks.
local function polls(looks, p)
  local n = 0
  for _, look in ipairs(looks) do
    local found = false
    for _, one in ipairs(look.ends) do
      if one.kind == "default" and one.frame <= #look.frames - p.index then found = true end
    end
    if found then n = n + 1 end
  end
  return n > #looks / 2, n > 0
end

-- judge tells of one that ran at all looks whether it spins, and on what.
local function judge(c)
  local p = place(c.looks)
  if not p then return nil end
  if not p.loop then within_library(p) end
  local polled, some
  if p.loop and p.loop.counts and p.loop.around then polled, some = polls(c.looks, p) end
  p.open = some -- more looks may tell
  if polled then p.loop = p.loop.around end -- it asks one after the other, and begins again
  local loop = p.loop
  if not loop then return nil, p end
  local alive, why = cause.find(c.looks, p)
  if alive then return nil, p end
  -- What it leads on may get it out, unless that is what one file or connection gives, which is at its end.
  local ended = why and why.one.kind == "end" and why.one.call and why.fd
  if loop.counts and not (why and (why.one.final and why.n >= 2 or ended and why.n >= 4)) then
    p.open = p.open or ended ~= nil and ended ~= false
    return nil, p
  end
  p.open = true -- more looks may tell
  if p.library and not (why and why.rank < 5 and why.n >= #c.looks / 2) then return nil, p end
  local same = idle(c.looks)
  if why and why.one.kind == "held" then -- it may be made anew each round, used, and something done with what came of it
    for i, look in ipairs(c.looks) do
      if works(look, p.stacks[i], p.index, same, { "^" .. literal(why.one.method) }) then
        why = nil
        break
      end
    end
  end
  if why and why.rank < 5 then return { place = p, why = why }, p end
  local same_answer = loop.asks and loop.ends and not loop.stores and only(loop.calls, asks, pure)
  if c.restless and not (c.asks and same_answer) then return nil, p end
  if loop.nested and not polled and computes(p) then return nil, p end
  local calls
  for i, look in ipairs(c.looks) do
    local is, called = works(look, p.stacks[i], p.index, same, same_answer and pure or nil)
    if is then
      p.open = p.hint
      return nil, p
    end
    calls = calls or called
  end
  for _, func in ipairs(loop.calls) do calls = calls or not matches(func, asks) end
  local asking = loop.asks or polled
  -- What is called may compute what it gives: unless the loop asks, it is work.
  if calls and not asking or not loop.ends and not asking and loop.nested and loop.stores then return nil, p end
  return { place = p, why = why, endless = not loop.ends and not asking }, p
end

-- input writes how large the arguments are that a function was given: "s of 2.0 MiB".
local function input(c, func)
  for _, look in ipairs(c.looks) do
    local given = look.given and look.given[func]
    if given and #given > 0 then return table.concat(given, ", ") end
  end
end

-- burning tells of one that works where it burns CPU: what was called by the program's own code, and since when.
local function burning(c, p)
  local frame, i = own(p.stacks[1], p.common + 1)
  if not frame then return nil end
  local inside
  for _, s in ipairs(p.stacks) do
    local f = s[i + 1]
    if not f or inside and inside ~= f.func then
      inside = nil
      break
    end
    inside = f.func
  end
  local again = false
  for k = 1, i do
    again = again or not locks.standard(p.stacks[1][k].func) and ri.loop(p.stacks[1][k].pc) ~= nil and (inside ~= nil or k < i)
  end
  return {
    id = c.id, where = frame, inside = inside, again = again, busy = c.busy, seen = c.seen, input = input(c, inside or frame.func),
    time = ri.duration(math.floor((c.last - c.first) / 1e6) * 1000000),
  }
end

-- everybody adds those that weren't looked at one by one: that were ready to run at all looks, in the same loop.
local function everybody(l, group)
  local ids, known, s = {}, {}, group[1]
  local loop = s.place.loop
  local function add(id)
    if not known[id] then known[id], ids[#ids + 1] = true, id end
  end
  for _, one in ipairs(group) do add(one.id) end
  for _, one in ipairs(l.spins) do known[one.id] = true end -- told by themselves
  local function within(frames)
    for _, f in ipairs(frames) do
      if f.func == s.place.at.func and ri.cmp(f.pc, loop.low) >= 0 and ri.cmp(f.pc, loop.high) <= 0 then return true end
    end
    return false
  end
  for _, group in ipairs(l.after or {}) do
    if group.status == "runnable" and within(group.frames) then
      for _, id in ipairs(group.ids) do
        local c = l.crowd[id] or l.candidates[id]
        if c and c.seen >= watch.enough and watch.hot(c) then add(id) end
      end
    end
  end
  for id, c in pairs(l.candidates) do
    local look = c.looks[#c.looks]
    if id ~= s.id and look and c.seen >= watch.enough and watch.hot(c) and within(look.frames) then add(id) end
  end
  table.sort(ids, function(a, b) return ri.cmp(a, b) < 0 end)
  return ids
end

-- result judges all that ran, once.
local function result(l)
  if l.spins then return l.spins, l.burns end
  l.spins, l.burns = {}, {}
  for id, c in pairs(l.candidates or {}) do
    if (watch.hot(c) or c.restless) and #c.looks >= watch.enough then
      local s, p = judge(c)
      if s then
        s.id, s.c = id, c
        l.spins[#l.spins + 1] = s
      elseif p and watch.ran(c) >= 2 and not c.restless then
        l.burns[#l.burns + 1] = burning(c, p)
      end
    end
  end
  local function by(a, b) return ri.cmp(a.id, b.id) < 0 end
  table.sort(l.spins, by)
  table.sort(l.burns, by)
  return l.spins, l.burns
end

local function finding(l, group, known)
  local s = group[1]
  local c, p, loop = s.c, s.place, s.place.loop
  local created = c.looks[1].created_by
  local frame = own(p.stacks[1], p.index) or p.at
  local n = #known
  local why, fd
  if s.why then
    why, fd = cause.told(c.looks, s.why, p)
  end
  local subject = n == 1 and "a goroutine spins" or ("%d goroutines spin"):format(n)
  local file = loop.file:match("[^/]*$")
  return {
    severity = "warning", count = n, goroutines = known,
    what = s.why and s.why.rank < 5 and ("%s: it %s, again and again"):format(subject, why)
      or c.restless and ("%s: %s the same again and again, and %s but for moments"):format(subject, n == 1 and "it asks" or "they ask", n == 1 and "waits" or "wait")
      or s.endless and ("%s: %s run all the time in a loop that has no way out and asks for nothing"):format(subject, n == 1 and "it has" or "they have")
      or ("%s: %s run all the time in one place, and waited for nothing"):format(subject, n == 1 and "it has" or "they have"),
    where = ("goroutine %s in %s (%s)"):format(tostring(s.id), frame.func, frame.func == loop.func and ("%s:%d"):format(file, loop.line) or waits.short(frame)),
    evidence = {
      (c.restless and "it ran, had others run for it, or was ready to, in %d of %d looks over %s, and waited but for moments; its stack" or "it ran, or was ready to, in %d of %d looks over %s, and was not parked in between; its stack was looked at in %d, and it was always in the loop at %s:%d"):format(
        c.busy, c.seen, ri.duration(math.floor((c.last - c.first) / 1e6) * 1000000), #c.looks, file, loop.line),
      s.why and ("it %s: in %d of these"):format(why, s.why.n) or nil,
      fd and described(l, fd) or nil,
      not s.why and (s.endless and "its code has no way out of that loop" or "its code leaves that loop only if something else changes what it asks for") or nil,
      n > #group and ("%s looked at one by one; the others were ready to run at all looks, in the same loop"):format(
        #group == 1 and "1 of them was" or #group .. " of them were") or nil,
      created and ("created by %s at %s"):format(created.func, waits.short(created)) or nil,
    },
    next = s.why and s.why.rank < 5 and "it should end the loop then, or wait before the next round" or "what does the loop there wait for, and can it come?",
  }
end

local function spins(l)
  if not l.second then return nil, "it needs two looks, of a running process" end
  for _, c in pairs(l.candidates) do
    if l.nostacks and c.chosen and watch.hot(c) and #c.looks < watch.enough then return nil, "goroutines run all the time, and where couldn't be looked at: " .. l.nostacks, true end
  end
  local groups, known = {}, {}
  for _, s in ipairs(result(l)) do
    local from = s.c.looks[1].created_by
    local key = table.concat({ s.place.at.func, tostring(s.place.loop.low), s.why and s.why.one.what or "", from and from.func .. from.line or "" }, "\n")
    if not l.told[s.id] then -- as one that others wait for
      if not known[key] then
        known[key] = {}
        groups[#groups + 1] = known[key]
      end
      table.insert(known[key], s)
    end
  end
  local out, all = {}, 0
  for _, group in ipairs(groups) do
    local ids, ran = everybody(l, group), 0
    for _, id in ipairs(ids) do ran = ran + watch.ran(l.candidates[id] or l.crowd[id]) end -- of many, each runs seldom
    if ran >= 2 then
      out[#out + 1] = finding(l, group, ids)
      all = all + out[#out].count
    end
  end
  if all >= l.ps and all > 0 then
    table.insert(out, 1, {
      severity = "critical", what = ("all Ps are busy: %d goroutines that spin take all %d, so others hardly run"):format(all, l.ps),
      where = "GOMAXPROCS", evidence = { "see the findings about each of them" }, next = "ri run scheduler shows who waits to run",
    })
  end
  return out
end

-- burns says which goroutines burn CPU, in words.
local function burns(l)
  local out = {}
  if not l.second then return out end
  local _, all = result(l)
  for _, b in ipairs(all) do
    out[#out + 1] = ("goroutine %s burns CPU in %s, called by %s (%s)%s: it ran, or was ready to, in %d of %d looks over %s%s"):format(tostring(b.id),
      b.inside or "its own code", b.where.func, waits.short(b.where), b.input and " with " .. b.input or "", b.busy, b.seen, b.time,
      b.again and "" or "; as far as they tell, in one call")
    if not b.inside then out[#out] = out[#out]:gsub(", called by ", ", ", 1) end
  end
  return out
end

-- allocates tells whether a goroutine that spins was seen to ask for memory: then it has the collector run.
local function allocates(l)
  for _, s in ipairs((result(l))) do
    for _, look in ipairs(s.c.looks) do
      for _, f in ipairs(look.frames) do
        if matches(f.func, makes) then return true end
      end
    end
  end
  return false
end

-- finish looks on, until enough is known.
local function finish(l)
  watch.finish(l, function(c)
    local s, p = judge(c)
    return not s and p ~= nil and p.open, p ~= nil and p.hint, p ~= nil and p.rare
  end)
end

return { { name = "spinning", run = spins }, sample = watch.sample, finish = finish, burns = burns, allocates = allocates }

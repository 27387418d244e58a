--- What a loop that a goroutine spins in asks for in vain, as several looks at its stack tell, and how that is said.

local locks = require("checks_locks")

local cause = {}

-- calls_of tells whether a loop calls a method of what one of its variables holds.
local function calls_of(loop, one)
  for _, func in ipairs(loop.calls) do
    if func == "" and one.interface or one.method and func:sub(1, #one.method) == one.method then return true end
  end
  return false
end

-- Calls that make a failing one pass: what was opened or connected meanwhile may be at its end soon.
local opens = { "open", "openat", "accept4", "accept", "connect", "socket" }

-- Calls that use a connection: then there is one.
local uses = { "connect", "read", "write", "writev", "sendto", "recvfrom" }

local function any(alive, calls)
  for _, call in ipairs(calls) do
    if alive[call] then return true end
  end
  return false
end

-- asked is the descriptor that a look shows in use: its number and where Go keeps it, nil where there is none.
local function asked(look)
  for _, one in ipairs(look.ends) do
    if one.kind == "descriptor" then return ("%s at %s"):format(tostring(one.fd), ri.hex(one.key)) end
  end
end

--- Finds what a loop asks for in vain: what was seen dead in several looks, and alive in none.
-- @param looks table, at one goroutine
-- @param p table, the place: index, loop; hint is set where something was seen that isn't sure, rare where that is seldom to be seen
-- @return boolean, table?: whether something came; what it is: one, n, rank, and fd: the descriptor that it was each time, false where there were several
function cause.find(looks, p)
  local seen, order, alive = {}, {}, {}
  for i, look in ipairs(looks) do
    local deepest = #look.frames - p.index -- frames inside of the loop's
    local told = {}
    for _, one in ipairs(look.ends) do
      local counts = one.frame <= deepest
      if one.kind == "setting" and counts then p.hint, p.rare = true, true end
      if one.kind == "held" then counts = one.frame == deepest + 1 and p.loop ~= nil and calls_of(p.loop, one) end
      if counts then
        if one.dead == false then
          if not one.call or one.reads then return true end
          alive[one.call] = true
        elseif one.dead then
          -- A timer may be another one each time.
          local key = one.kind == "timer" and "timer" or one.kind .. tostring(not one.final and one.call or one.key)
          if not told[key] then
            told[key] = true
            if not seen[key] then
              seen[key] = { one = one, n = 0 }
              order[#order + 1] = seen[key]
            end
            local s = seen[key]
            local fd = asked(look)
            if s.n == 0 then s.fd = fd elseif s.fd ~= fd then s.fd = false end
            if one.exact or s.one.guess and not one.guess then s.one = one end
            s.n, s.name, s.of = s.n + 1, s.name or one.name, s.of or one.of
          end
        end
      end
    end
  end
  local best
  for _, s in ipairs(order) do
    local rank = ({ ["end"] = 1, closed = 2, timer = 3, fails = 4, held = 4.5 })[s.one.kind] or 5
    s.rank = rank
    local sure = s.n >= 2 or s.one.final and s.one.kind ~= "held"
    if s.one.kind == "timer" then sure = s.n >= math.max(2, #looks / 4) end -- else it does much else each round
    if s.one.guess then sure = false end
    if s.one.kind == "fails" then sure = sure and not any(alive, s.one.key == "dial" and uses or { s.one.call }) end
    if s.one.kind == "end" and s.one.call then sure = sure and not any(alive, opens) end -- of a file that was opened meanwhile
    if s.one.kind == "held" then sure = s.n == #looks end
    if sure and (not best or rank < best.rank or rank == best.rank and s.n > best.n) then best = s end
    p.hint, p.rare = p.hint or rank < 5, p.rare or rank == 3 or s.one.key == "dial"
  end
  return false, best
end

-- through is the function of the standard library that a loop calls, and in which a cause was found.
local function through(looks, p)
  for _, look in ipairs(looks) do
    local f = look.frames[#look.frames - p.index]
    if f and locks.standard(f.func) and not f.func:find("^runtime%.") then return f.func end
  end
end

--- Puts a cause in words: what, and of which descriptor or variable.
-- @param looks table, at one goroutine
-- @param s table, of cause.find
-- @param p table, the place
-- @return string, int?: and the descriptor
function cause.told(looks, s, p)
  local parts = { s.one.what }
  local func = s.one.kind == "closed" and not s.of and through(looks, p)
  if func then return ("calls %s, in which a channel is closed"):format(func) end
  if s.name then parts[#parts + 1] = s.of and ("(%s in %s)"):format(s.name, s.of) or ("(%s)"):format(s.name) end
  if s.one.kind == "end" or s.one.kind == "fails" and s.one.key ~= "dial" then
    for _, look in ipairs(looks) do
      for _, one in ipairs(look.ends) do
        if one.kind == "descriptor" and ri.cmp(one.fd, 0) >= 0 then return table.concat(parts, " "), one.fd end
      end
    end
  end
  return table.concat(parts, " ")
end

return cause

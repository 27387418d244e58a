-- What a Go program died of: panics and faults in words.

local panics = {}

-- The texts of runtime.boundsError by its code, runtime/error.go (boundsErrorFmts, the same in Go 1.20 to 1.27).
local bounds = {
  [0] = "index out of range [%x] with length %y", "slice bounds out of range [:%x] with length %y",
  "slice bounds out of range [:%x] with capacity %y", "slice bounds out of range [%x:%y]",
  "slice bounds out of range [::%x] with length %y", "slice bounds out of range [::%x] with capacity %y",
  "slice bounds out of range [:%x:%y]", "slice bounds out of range [%x:%y:]",
  "cannot convert slice with length %x to array or pointer to array with length %y",
}

-- short is a value on one line.
function panics.short(v)
  if v == nil then return "nil" end
  return ri.dump(v, { oneline = true, depth = 2, bytes = 120, elems = 6 })
end

-- longest is how much of a text is shown where it would push all else aside, in bytes.
local longest = 300

-- cut gives the beginning of a long text, and the whole, if that had to be cut.
function panics.cut(text)
  if #text <= longest or ri.token(text) then return text, nil end
  local at = longest
  while at > 1 and text:byte(at + 1) >= 0x80 and text:byte(at + 1) < 0xc0 do at = at - 1 end
  return ("%s... (%d bytes)"):format(text:sub(1, at), #text), text
end

-- message is what Go would print of a panic's value whose methods can't be called here; nil where only they know.
local function message(v, type)
  if _G.type(v) == "string" then
    return type == "runtime.errorString" and "runtime error: " .. v or v
  end
  if type == "runtime.boundsError" or type == "*runtime.boundsError" then
    local text = bounds[v.code]
    return text and "runtime error: " .. text:gsub("%%x", tostring(v.x)):gsub("%%y", tostring(v.y)) or nil
  end
  if type == "runtime.errorAddressString" then return "runtime error: " .. v.msg end
  if type == "*errors.errorString" then return v.s end
  if type == "*fmt.wrapError" or type == "*fmt.wrapErrors" then return v.msg end
  return nil
end

-- chain lists a goroutine's panics, the latest first: {text, value, type, recovered, repanicked}. values are what gopanic's frames were called with, since
-- the runtime replaces an error by its text before it prints it.
function panics.chain(g, frames)
  local given = {}
  for i, f in ipairs(frames) do
    if f.func == "runtime.gopanic" and not f.inlined then
      local ok, locals, _, list = pcall(g.locals, g, i)
      given[#given + 1] = ok and { value = locals.e, list = list } or {}
    end
  end
  local list, n = {}, 0
  local ok, p = pcall(function() return ri.at(g.addr, "runtime.g")._panic end)
  local calls = 0
  while ok and p and n < 100 do
    n = n + 1
    local is = function(name)
      local has, v = pcall(function() return p[name] end)
      return has and v == true
    end
    if not p.goexit then calls = calls + 1 end
    local link = p.link
    local again, same = pcall(function() return link ~= nil and link.repanicked end)
    -- Go 1.25 and later print a value once that was recovered and given to panic again.
    if not p.goexit and not (again and same) then
      local one = { recovered = p.recovered, repanicked = is("repanicked") }
      local arg = p.arg
      one.type = arg == nil and "nil" or type(arg) == "userdata" and ri.typeof(arg) or type(arg)
      local was = given[calls]
      if was and was.value ~= nil then
        one.type = "nil"
        for _, v in ipairs(was.list) do
          if v.name == "e" then one.type = v.dynamic or one.type end
        end
        if type(arg) == "string" then one.text = ri.token(arg) and arg or message(arg, arg:find("^runtime error: ") and "string" or one.type) end
        arg = was.value
      elseif type(arg) == "string" then
        one.type = "as the runtime printed it"
      end
      one.text = one.text or message(arg, one.type)
      one.value = panics.short(arg)
      list[#list + 1] = one
    end
    p = link
  end
  return list
end

local codes = {
  SIGSEGV = { "no memory is mapped there", "the memory may not be accessed in this way", [128] = "the address is none that a processor can have" },
  SIGBUS = { "the address is not aligned", "a mapped file ends before it (was it truncated?)", "hardware error" },
  SIGFPE = { "integer divide by zero", "integer overflow" },
  SIGILL = { "no instruction of this processor" },
}

local hex = ri.hex

-- access is the beginning of "read of address 0x10".
function panics.access(access)
  if not access then return "access to" end
  return access == "jump to" and access or access .. " of"
end

-- fault says what a signal means: signal is a table as of ri.threads.
function panics.fault(signal, access)
  local text = signal.name
  if signal.code <= 0 then
    if signal.sender and signal.sender == ri.target().pid then return text .. " sent by the program itself" end
    return text .. (signal.sender and (" sent by process %s"):format(tostring(signal.sender)) or " sent by a process")
  end
  if signal.name == "SIGSEGV" or signal.name == "SIGBUS" then
    text = text .. ": " .. panics.access(access) .. " address " .. hex(signal.address)
  end
  local why = codes[signal.name] and codes[signal.name][signal.code]
  return why and text .. ", " .. why or text
end

-- reaches gives the field of a type that an access of some bytes at an offset lies in: ".name", "" where the type has no fields and that is its beginning; nil
-- if there is none, or it is smaller than what was accessed.
local function reaches(name, offset, size)
  local known, t = pcall(ri.type, name)
  if not known then return nil end
  for _, f in ipairs(t.fields or {}) do
    if f.offset <= offset and offset < f.offset + math.max(f.size, 1) then
      if size and size <= 8 and offset + size > f.offset + f.size then return nil end
      return "." .. f.name
    end
  end
  return not t.fields and offset == 0 and (not size or size > 8 or size <= t.size) and "" or nil
end

--- Names the variables of a frame, and the fields of what they point to, that may be the nil pointer whose field at an offset was accessed: first variables
-- that are nil, then those whose value isn't known, then fields that are nil. What is less likely than a variable that is nil, or that fields can be of which nothing
-- is known, is left out where there is better.
-- @param g goroutine
-- @param i int, the frame
-- @param offset int
-- @param size int?, how many bytes were accessed
-- @return table: list of {expr, type, sure: it is nil}
function panics.culprits(g, i, offset, size)
  local ok, _, _, list = pcall(g.locals, g, i)
  if not ok then return {} end
  local ranks = { {}, {}, {}, {} }
  local function add(rank, name, pointee, field)
    if not field then return end
    table.insert(ranks[rank], { expr = field == "" and "*" .. name or name .. field, type = "*" .. pointee, sure = rank % 2 == 1 })
  end
  for _, v in ipairs(list) do
    local pointee = v.type:match("^%*(.*)$")
    if pointee then
      local isnil = not v.lost and v.value == nil
      if v.lost or isnil then add(isnil and 1 or 2, v.name, pointee, reaches(pointee, offset, size)) end
      local known, t = pcall(ri.type, pointee)
      for _, f in ipairs(known and not isnil and t.fields or {}) do
        local inner = f.type:match("^%*(.*)$")
        local has, now = inner ~= nil, nil
        if has and not v.lost then has, now = pcall(function() return v.value[f.name] end) end
        if has and now == nil then add(v.lost and 4 or 3, v.name .. "." .. f.name, inner, reaches(inner, offset, size)) end
      end
    end
  end
  if #ranks[1] > 0 then ranks[3] = {} end
  if #ranks[1] + #ranks[2] + #ranks[3] > 0 then ranks[4] = {} end
  local out = {}
  for _, rank in ipairs(ranks) do
    for _, c in ipairs(rank) do out[#out + 1] = c end
  end
  return out
end

return panics

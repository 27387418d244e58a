-- A range of bytes as hexadecimal digits and text. Lines of zeros are said in a word.

local chunk = 64 * 1024

-- place finds the bytes: how many there are, a function that reads n of them at an offset, and their address.
local function place(p)
  local function at(address, full)
    return full, function(from, n) return ri.memory(address + from, n) end, address
  end
  local function held(text)
    return #text, function(from, n) return text:sub(from + 1, from + n) end
  end
  if p.address then
    if not p.length then error("length is missing: address=0x... length=...", 0) end
    return at(p.address, p.offset + p.length)
  end
  local where = ri.ref(p.expr)
  local kind = ri.type(where)
  if kind.kind == "interface" then
    local text, inside = pcall(ri.ref, p.expr .. ".(string)")
    if text then where, kind = inside, ri.type(inside) end
  end
  if kind.kind == "string" then -- however long it is, only what is shown is read
    return ri.len(where), function(from, n) return ri.bytes(where, from, from + n) end
  end
  local value = ri.eval(p.expr)
  if type(value) == "string" then return held(value) end
  if value == nil then error(p.expr .. " is nil", 0) end
  if kind.kind == "slice" then
    local n = #value
    if n == 0 then return held("") end
    return at(ri.addr(ri.ref(value, 0)), n * ri.type(kind.elem).size)
  elseif kind.kind == "ptr" then
    return at(ri.addr(value), p.length and p.offset + p.length or ri.type(kind.elem).size)
  end
  return at(ri.addr(where), kind.size)
end

local function hex(bytes)
  local digits = {}
  for i = 1, #bytes do digits[i] = ("%02x"):format(bytes:byte(i)) end
  return table.concat(digits, " ")
end

local function zeros(bytes) return not bytes:find("[^%z]") end

return {
  title = "a range of bytes as hex and text",
  category = "go",
  description = [[
Shows the bytes of a string, a slice, an array or any other value (expr), or of an address and a length. Bytes that
are all zero are said in a word.]],
  params = {
    { name = "expr", type = "expr", help = "whose bytes: main.store.devices[0].data" },
    { name = "address", type = "address", help = "where they begin, instead of expr" },
    { name = "length", type = "int", min = 0, help = "how many, from offset on; needed with address" },
    { name = "offset", type = "int", default = 0, min = 0, help = "skip so many" },
    { name = "limit", type = "int", default = 4096, min = 0, max = 16777216, help = "bytes shown" },
    { name = "width", type = "int", default = 16, min = 1, max = 256, help = "bytes on a line" },
  },
  one_of = { "expr", "address" },
  columns = {
    { name = "offset", type = "int", help = "of the line's first byte", key = true },
    { name = "hex", type = "string", help = "the bytes" },
    { name = "text", help = "the bytes as text, a dot for what isn't ASCII" },
  },
  sample = [[
OFFSET  HEX                                              TEXT
     0  48 65 6c 6c 6f 2c 20 77 6f 72 6c 64 21 0a 00 00  Hello, world!...
    16  all zero, 4080 bytes                             -
4096 bytes at 0xc000112000]],
  run = function(p)
    local full, read, address = place(p)
    local from = math.min(p.offset, full)
    local to = math.min(full, from + math.min(p.limit, p.length or p.limit))
    local zero, nonzero = nil, false -- where a run of lines of zeros began
    local function flush(at)
      if zero and (nonzero or at < to) then ri.emit { offset = zero, hex = ("all zero, %d bytes"):format(at - zero) } end
      zero = nil
    end
    local size = math.max(1, math.floor(chunk / p.width)) * p.width
    for at = from, to - 1, size do
      local bytes = read(at, math.min(size, to - at))
      for i = 0, #bytes - 1, p.width do
        local line = bytes:sub(i + 1, i + p.width)
        if zeros(line) then
          zero = zero or at + i
        else
          flush(at + i)
          nonzero = true
          ri.emit { offset = at + i, hex = hex(line), text = (line:gsub("[^\32-\126]", ".")) }
        end
      end
    end
    flush(to)
    local where = address and (" at 0x%x"):format(address) or ""
    print(("%d bytes%s"):format(full, where)
      .. (to - from < full and (", %d to %d shown"):format(from, to) or "")
      .. (to > from and not nonzero and ", all zero" or ""))
  end,
}

-- A range of bytes as hexadecimal digits and text. Lines of zeros are said in a word.

local chunk = 64 * 1024

-- place finds where the bytes are: address and length.
local function place(p)
  if p.address then
    if not p.length then error("length is missing: address=0x... length=...", 0) end
    return p.address, p.length
  end
  if not p.expr then error("needs expr=EXPR, or address=0x... and length=...", 0) end
  local value = ri.eval(p.expr)
  if type(value) == "string" then return nil, #value, value end
  if value == nil then error(p.expr .. " is nil", 0) end
  local where = ri.ref(p.expr)
  local kind = ri.type(where)
  if kind.kind == "slice" then
    local n = #value
    if n == 0 then return nil, 0, "" end
    return ri.addr(ri.ref(value, 0)), n * ri.type(kind.elem).size
  elseif kind.kind == "ptr" then
    return ri.addr(value), p.length or ri.type(kind.elem).size
  end
  return ri.addr(where), kind.size
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
    { name = "length", type = "int", min = 0, help = "how many; needed with address" },
    { name = "offset", type = "int", default = 0, min = 0, help = "skip so many" },
    { name = "limit", type = "int", default = 4096, min = 0, max = 16777216, help = "bytes shown" },
    { name = "width", type = "int", default = 16, min = 1, max = 256, help = "bytes on a line" },
  },
  columns = {
    { name = "offset", type = "int", help = "of the line's first byte" },
    { name = "hex", type = "string", help = "the bytes" },
    { name = "text", help = "the bytes as text, a dot for what isn't ASCII" },
  },
  sample = [[
OFFSET  HEX                                              TEXT
     0  48 65 6c 6c 6f 2c 20 77 6f 72 6c 64 21 0a 00 00  Hello, world!...
    16  all zero, 4080 bytes                             -
4096 bytes at 0xc000112000]],
  run = function(p)
    local address, full, held = place(p)
    if p.length then full = held and math.min(full, p.length) or p.length end
    local from = math.min(p.offset, full)
    local to = math.min(full, from + p.limit)
    local function read(at, n)
      if held then return held:sub(at + 1, at + n) end
      return ri.memory(address + at, n)
    end
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

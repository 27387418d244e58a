-- Words for people.

local words = {}

-- count says how many: "1 stack", "4 stacks", "2 entries".
function words.count(n, word)
  if n == 1 then return "1 " .. word end
  return tostring(n) .. " " .. (word:find("[^aeiou]y$") and word:sub(1, -2) .. "ies" or word .. "s")
end

-- shown adds what a limit left out.
function words.shown(n, word, limit)
  return words.count(n, word) .. (n > limit and (", the first %d shown (limit=)"):format(limit) or "")
end

-- duration is a time in nanoseconds with the digits that matter.
function words.duration(ns)
  local step = 1
  while ns / step >= 1000 do step = step * 10 end
  return ri.duration(math.floor(ns / step) * step)
end

-- bytes is a number of bytes as people read it: "412 KiB".
function words.bytes(n)
  n = ri.float(n)
  local units, i = { "B", "KiB", "MiB", "GiB", "TiB" }, 1
  while math.abs(n) >= 1024 and i < #units do n, i = n / 1024, i + 1 end
  if i == 1 or math.abs(n) >= 99.95 then return ("%.0f %s"):format(n, units[i]) end
  return ("%.1f %s"):format(n, units[i])
end

local module -- of the program, once asked for

-- standard tells whether a package is of the standard library.
function words.standard(path)
  module = module or ri.buildinfo().path or ""
  local first = path:match("^[^/]*")
  return not (path == "main" or first:find(".", 1, true) or (module ~= "" and (path == module or path:sub(1, #module + 1) == module .. "/")))
end

-- own tells whether a function is of the program's own module: of neither the standard library nor another module. Where the program doesn't say
-- which its module is, other modules' count as its own.
function words.own(func)
  local path = func:match("^(.*/[^./]*)%.") or func:match("^([^.]*)%.") or func
  if words.standard(path) then return false end
  return path == "main" or module == "" or path == module or path:sub(1, #module + 1) == module .. "/"
end

return words

-- Fids of the object store in examples/target (main.Fid): <container:key>, both in hexadecimal.

local fid = {}

-- text writes a fid as the program does.
function fid.text(f) return "<" .. ri.hex(f.Container):sub(3) .. ":" .. ri.hex(f.Key):sub(3) .. ">" end

-- parse reads <container:key>, with or without the brackets; gives container and key.
function fid.parse(text)
  local container, key = text:match("^<?(%x+):(%x+)>?$")
  if not container then error(("fid %q: want <container:key> in hexadecimal"):format(text), 0) end
  return ri.int("0x" .. container), ri.int("0x" .. key)
end

-- find looks a fid up in a map by fids, whose hash can't be called: it looks at all, a million in 0.4 s. typename is that of
-- the map's elements; listed(element) says whether one that was found before is still in use.
function fid.find(map, text, typename, listed)
  local container, key = fid.parse(text)
  local function is(f) return f.Key == key and f.Container == container end
  local found = "fid " .. text -- what the rehearsal on live memory found needn't be searched for in the stop
  if ri.memo(found) then
    local element = ri.at(ri.memo(found), typename)
    local whole, good = pcall(function() return is(element.fid) and listed(element) end) -- it may be freed, and anything by now
    if whole and good then return element end
  end
  for f, element in ri.pairs(map) do
    if is(f) then
      ri.memo(found, ri.addr(element))
      listed(element) -- which finds in turn what it will ask for
      return element
    end
  end
end

return fid

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

-- find looks a fid up in a map by fids, whose hash can't be called: it looks at all.
function fid.find(map, text)
  local container, key = fid.parse(text)
  for f, value in ri.pairs(map) do
    if f.Key == key and f.Container == container then return value end
  end
end

return fid

-- Objects of which memory, the data folder and a listing elsewhere say different things; and the listing mended.

local file, http, fid = require("file"), require("http"), require("target/fid")

-- latest is what the data folder's journal says last of each name: lines of a checksum and a record.
local function latest(text)
  local records, damaged = {}, 0
  for line in text:gmatch("[^\n]+") do
    local sum, record = line:match("^(%x%x%x%x%x%x%x%x) (.*)$")
    if not sum or ri.crc32(record) ~= tonumber(sum, 16) then
      damaged = damaged + 1
    else
      local r = ri.decode(record)
      records[r.name] = r.op ~= "delete" and r.meta and { size = r.meta.size, version = r.meta.version } or { gone = true }
    end
  end
  return records, damaged
end

local entities = { ["&lt;"] = "<", ["&gt;"] = ">", ["&quot;"] = '"', ["&#39;"] = "'", ["&amp;"] = "&" }
local function plain(s) return (s:gsub("&[#%w]+;", entities)) end
local function escaped(s) return (s:gsub("[<>&\"']", { ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;", ["&"] = "&amp;" })) end

-- listed are the sizes of an S3 listing.
local function listed(body)
  local sizes = {}
  for entry in body:gmatch("<Contents>(.-)</Contents>") do
    local key, size = entry:match("<Key>(.-)</Key>"), entry:match("<Size>(%d+)</Size>")
    if key then sizes[plain(key)] = tonumber(size) end
  end
  return sizes
end

-- listing is a listing of what memory has.
local function listing(names, sizes)
  local parts = { "<ListBucketResult>" }
  for _, name in ipairs(names) do
    parts[#parts + 1] = ("<Contents><Key>%s</Key><Size>%d</Size></Contents>"):format(escaped(name), sizes[name])
  end
  parts[#parts + 1] = "</ListBucketResult>\n"
  return table.concat(parts, "\n")
end

return {
  title = "objects that memory, data and a listing disagree on",
  category = "target",
  description = [[
Compares the objects in memory with what the folder of -data says last of them (objects.journal; what was never changed isn't in it), and with an S3-like listing that is got
from an URL. With --write the listing is put there anew, as memory has it, if it is still what was got. The folder is read alone: the program holds it open.
Needs --allow file=FOLDER and --allow http=HOST:PORT.]],
  params = {
    { name = "listing", type = "string", required = true, help = "the listing's URL" },
    { name = "journal", type = "string", default = "objects.journal", help = "in the folder of -data" },
  },
  modules = { "file", "http" },
  needs = { vars = { "main.store" }, fields = { "main.Store.objects", "main.Object.name", "main.Object.size", "main.Store.metadata", "main.Metadata.version" } },
  columns = {
    { name = "name", key = true },
    { name = "memory", type = "int", help = "its size; none: it isn't there" },
    { name = "data", type = "int", help = "its size by the last record; none: no record, or it is gone" },
    { name = "listed", type = "int", help = "its size in the listing" },
    { name = "wrong", help = "what they disagree about" },
  },
  sample = [[
NAME          MEMORY  DATA  LISTED  WRONG
images/a.png     171   171       -  not listed
images/z.png       -     -      99  listed, and not in memory
2 of 40 objects]],
  run = function(p)
    local text = file.read(p.journal) or error(("%s isn't there: --allow file=FOLDER names the folder of -data"):format(p.journal), 0)
    local answer = http.get(p.listing)
    if answer.status ~= 200 then error(("%s answers %d"):format(p.listing, answer.status), 0) end
    local records, damaged = latest(text)
    local there = listed(answer.body)
    local store, sizes, versions, names, known = ri.var("main.store"), {}, {}, {}, {}
    for _, object in ri.pairs(store.objects) do sizes[object.name] = object.size end
    local byFid = {}
    for f, m in ri.pairs(store.metadata) do byFid[fid.text(f)] = m.version end
    for _, object in ri.pairs(store.objects) do versions[object.name] = byFid[fid.text(object.fid)] end
    for _, from in ipairs { sizes, records, there } do
      for name in pairs(from) do
        if not known[name] then known[name], names[#names + 1] = true, name end
      end
    end
    table.sort(names)
    local count, wrong, mine = 0, 0, {}
    for _, name in ipairs(names) do
      local size, record, list, why = sizes[name], records[name], there[name], {}
      if size then count, mine[#mine + 1] = count + 1, name end
      if record and record.gone and size then why[#why + 1] = "deleted in the data" end
      if record and not record.gone and not size then why[#why + 1] = "in the data, and not in memory" end
      if record and size and not record.gone and (record.size ~= size or record.version ~= versions[name]) then
        why[#why + 1] = ("version %s in the data, %s in memory"):format(tostring(record.version), tostring(versions[name]))
      end
      if list and not size then why[#why + 1] = "listed, and not in memory" end
      if size and not list then why[#why + 1] = "not listed" end
      if size and list and list ~= size then why[#why + 1] = "listed with another size" end
      if #why > 0 then
        wrong = wrong + 1
        ri.emit { name = name, memory = size, data = record and record.size, listed = list, wrong = table.concat(why, "; ") }
      end
    end
    print(("%d of %d objects"):format(wrong, count))
    if damaged > 0 then ri.log(("%d lines of %s are damaged"):format(damaged, p.journal)) end
    local body = listing(mine, sizes)
    if body ~= answer.body then
      ri.change("the listing at " .. p.listing .. " as memory has it", function(tx) http.put(tx, p.listing, answer, body) end)
    end
  end,
}

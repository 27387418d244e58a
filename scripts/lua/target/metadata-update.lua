-- Updates an object's metadata record: the value, the version and the checksum together, and marks it for the program to write out.

local fid, objects = require("target/fid"), require("target/object")

-- canonical is the text that a record's checksum is of; see metadata.go.
local function canonical(m, changed)
  local function value(name) if changed[name] ~= nil then return changed[name] end return m[name] end
  local time = ri.time(ri.ref(m, "mtime"))
  local nanos = time.zero and "-6795364578871345152" or ("%s%09d"):format(tostring(time.unix), time.nsec)
  local parts = { fid.text(m.fid), tostring(value("version")), value("owner"), tostring(m.size), nanos }
  local keys, attrs = {}, {}
  for k, v in ri.pairs(m.attrs) do keys[#keys + 1], attrs[k] = k, v end
  table.sort(keys)
  for _, k in ipairs(keys) do
    local v = attrs[k]
    if changed.attr == k then v = changed.value end
    parts[#parts + 1] = k .. "=" .. v
  end
  return table.concat(parts, " ")
end

return {
  title = "update an object's metadata record transactionally",
  category = "target",
  description = [[
Gives an object's metadata record another owner, or an attribute that it has another value; raises the version, computes the checksum anew, and marks the
record dirty, so that the program itself writes it out at its next sweep. All of it or nothing, guarded by the version that it has now.]],
  params = {
    { name = "name", type = "string", required = true, help = "the object's name" },
    { name = "owner", type = "string", help = "the new owner" },
    { name = "attr", type = "string", help = "an attribute that the record has" },
    { name = "value", type = "string", help = "its new value" },
    { name = "version", type = "int", help = "only if this is the record's version now" },
  },
  needs = {
    vars = { "main.store" },
    fields = { "main.Store.metadata", "main.Metadata.version", "main.Metadata.checksum", "main.Metadata.dirty", "main.Metadata.owner", "main.Metadata.mtime", "main.Metadata.attrs" },
  },
  columns = {
    { name = "name", help = "of the object", key = true },
    { name = "fid", help = "<container:key>" },
    { name = "what", help = "owner, or the attribute", key = true },
    { name = "was", help = "until now" },
    { name = "value", help = "from now on" },
    { name = "version", type = "int", help = "the record's new version" },
    { name = "checksum", help = "the record's new checksum" },
  },
  sample = [[
NAME          FID                    WHAT   WAS    VALUE  VERSION  CHECKSUM
images/a.png  <7000000000000001:2a>  owner  alice  bob          4  9c3f0a12]],
  run = function(p)
    if (p.owner == nil) == (p.attr == nil) or (p.attr == nil) ~= (p.value == nil) then error("say owner=NEW, or attr=KEY value=NEW", 0) end
    local store = ri.var("main.store")
    local object = objects.named(store, p.name)
    local text = fid.text(object.fid)
    local key = ("main.store.metadata[main.Fid{0x%s, 0x%s}]"):format(text:match("^<(%x+):(%x+)>$"))
    local m = ri.eval(key)
    if ri.crc32(canonical(m, {})) ~= m.checksum then
      error(("the record of %s is damaged: its checksum is %08x, and should be %08x; nothing was changed"):format(p.name, m.checksum, ri.crc32(canonical(m, {}))), 0)
    end
    local was = p.owner and m.owner or m.attrs[p.attr]
    if was == nil then error(("%s has no attribute %q, and a new key can't be put into a map from outside"):format(p.name, p.attr), 0) end
    local changed = { version = m.version + 1, owner = p.owner, attr = p.attr, value = p.value }
    local sum = ri.crc32(canonical(m, changed))
    ri.emit { name = p.name, fid = text, what = p.attr or "owner", was = was, value = p.owner or p.value, version = changed.version, checksum = ("%08x"):format(sum) }
    ri.change(("metadata of %s: %s %s -> %s"):format(p.name, p.attr or "owner", was, p.owner or p.value), function(tx)
      tx:wait(key .. ".version", p.version or m.version)
      if p.owner then tx:update(key .. ".owner", p.owner) else tx:update(("%s.attrs[%q]"):format(key, p.attr), p.value) end
      tx:update(key .. ".version", changed.version)
      tx:update(key .. ".checksum", sum)
      tx:update(key .. ".dirty", true)
    end)
  end,
}

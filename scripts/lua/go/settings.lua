-- What the process was started with and what it set since.

local runtime = require 'runtime'
local words = require 'words'

local masked = 0

-- shown gives what may be shown of a value, or of a list of arguments.
local function shown(p, ...)
  if p.secrets then return (select(select('#', ...), ...)) end
  local value, n = ri.masked(...)
  masked = masked + n
  return value
end

local function arguments(list, p)
  local all = {}
  for i, argument in ri.pairs(list) do all[i + 1] = argument end
  for i, text in ipairs(shown(p, all)) do ri.emit { kind = 'arg', name = tostring(i - 1), value = text } end
end

local function environment(p)
  local list = {}
  for _, entry in ri.pairs(runtime.var 'syscall.envs' or ri.var 'runtime.envs') do
    local name, value = entry, nil -- one without '=' has no value, nor is it known of a token where it begins
    if not ri.token(entry) then
      local before, after = entry:match('^([^=]+)=(.*)$')
      if before then name, value = before, after end
    end
    if entry ~= '' then list[#list + 1] = { name, value } end -- package syscall empties those whose name comes again
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  for _, e in ipairs(list) do
    local name, value = e[1], e[2]
    if value then value = shown(p, name, value) else name = shown(p, '', name) end
    ri.emit { kind = 'env', name = name, value = value }
  end
end

-- debug settings that aren't 0: GODEBUG, or set by the runtime itself (runtime/runtime1.go; a list of pointers since Go 1.21).
local function debugvar(v)
  local value = v.value
  if value ~= nil then value = ri.deref(value) end
  if value == nil and runtime.has(v, 'atomic') and v.atomic ~= nil then value = ri.deref(v.atomic) end
  return value
end

local function debugvars()
  local unread, why = 0, nil
  for _, v in ri.pairs(runtime.var 'runtime.dbgvars') do
    if v ~= nil then
      local ok, value = pcall(debugvar, v) -- a recording need not have numbers
      if not ok then unread, why = unread + 1, why or value end
      if ok and type(value) == 'number' and value ~= 0 then ri.emit { kind = 'debug', name = v.name, value = tostring(value) } end
    end
  end
  if unread > 0 then ri.leaveout(('%s: %s'):format(words.count(unread, 'debug setting'), why)) end
end

return {
  title = "settings: GOMAXPROCS, GOGC, limits, GODEBUG, env, args",
  category = "go",
  description = [[
What the process runs with: the runtime's settings as they are now (whoever set them), the debug settings that aren't 0, arguments and environment as the
program sees them. What is called a password, token, key or the like, or looks like one (keys of known forms, passwords in URLs, long random texts), is
masked unless secrets=yes.]],
  needs = {
    vars = { "runtime.gomaxprocs", "runtime.gcController", "runtime.envs" },
    fields = { "runtime.gcControllerState.gcPercent", "runtime.gcControllerState.memoryLimit" },
  },
  params = {
    { name = "secrets", type = "bool", default = false, help = "show passwords, tokens and keys too" },
    { name = "kind", type = "string", values = { "runtime", "debug", "arg", "env" }, default = "", help = "only settings of this kind: runtime, debug, arg, env" },
  },
  columns = {
    { name = "kind", help = "runtime, debug, arg or env", key = true },
    { name = "name", help = "of the setting", key = true },
    { name = "value", help = "as it is now" },
  },
  sample = [[
KIND     NAME        VALUE
runtime  GOMAXPROCS  2
runtime  GOGC        100
runtime  GOMEMLIMIT  3.0 GiB
arg      0           ./server
env      API_TOKEN   (masked)]],
  run = function(p)
    masked = 0
    local function row(name, value) ri.emit { kind = 'runtime', name = name, value = tostring(value) } end
    if ri.match('runtime', p.kind) then
      local c, sched = ri.var 'runtime.gcController', runtime.var 'runtime.sched'
      row('GOMAXPROCS', ri.var 'runtime.gomaxprocs')
      local cpus = runtime.var 'runtime.ncpu' or runtime.var 'runtime.numCPUStartup'
      if cpus then row('CPUs', cpus) end
      row('GOGC', c.gcPercent < 0 and 'off' or c.gcPercent)
      row('GOMEMLIMIT', ri.cmp(c.memoryLimit, 2 ^ 62) > 0 and 'none' or words.bytes(c.memoryLimit))
      if sched then row('max threads', sched.maxmcount) end
      local stack = runtime.var 'runtime.maxstacksize'
      if stack then row('max stack', words.bytes(stack)) end
      local built = runtime.var 'runtime.godebugDefault'
      if built and built ~= '' then row('GODEBUG of the build', built) end
    end
    if ri.match('debug', p.kind) then debugvars() end
    if ri.match('arg', p.kind) then arguments(runtime.var 'os.Args' or runtime.var 'runtime.argslice', p) end
    if ri.match('env', p.kind) then environment(p) end
    if masked > 0 then ri.log(words.count(masked, 'value') .. ' masked: secrets=yes shows them') end
  end,
}

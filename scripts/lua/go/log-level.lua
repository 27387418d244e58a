-- Finds the levels at which the program's loggers log, and sets them.

-- between gives a test of what was found: a variable on a stack may be dead, and its pointer lead anywhere.
local function between(low, high)
  return function(n) return type(n) == 'number' and n >= low and n <= high end
end

-- Each kind: the type to look for, the place of its level in it, what a level can be, and what the levels are called.
local kinds = {
  { name = "slog", type = "log/slog.LevelVar", place = function(v) return ri.ref(v, "val") end, valid = between(-100, 100),
    levels = { debug = -4, info = 0, warn = 4, error = 8 } },
  { name = "zap", type = "go.uber.org/zap.AtomicLevel", place = function(v) return v.l and ri.ref(v.l) end, valid = between(-1, 6),
    levels = { debug = -1, info = 0, warn = 1, error = 2 } },
  { name = "logrus", type = "github.com/sirupsen/logrus.Logger", place = function(v) return ri.ref(v, "Level") end, valid = between(0, 6),
    levels = { error = 2, warn = 3, info = 4, debug = 5, trace = 6 } },
  -- A logger's own level can only be as low as the global one; loggers are copied by value. One that is disabled (7) stays so.
  { name = "zerolog", type = "github.com/rs/zerolog.Logger", place = function(v) return ri.ref(v, "level") end, valid = between(-1, 5), only_down = true,
    levels = { trace = -1, debug = 0, info = 1, warn = 2, error = 3 } },
  { name = "nats", type = "github.com/nats-io/nats-server/v2/server.Server", flag = "debug",
    place = function(v) return ri.ref(ri.ref(v, "logging"), "debug") end, levels = { info = 0, debug = 1 } },
  { name = "nats-trace", type = "github.com/nats-io/nats-server/v2/server.Server", flag = "trace",
    place = function(v) return ri.ref(ri.ref(v, "logging"), "trace") end, levels = { info = 0, trace = 1 } },
}

-- nats_logger is the flag that the server's own logger (logger.Logger) has beside the server's; both must be set. Another logger has none.
local function nats_logger(server, flag)
  local ok, place = pcall(function() return ri.ref(server.logging.logger, flag) end)
  return ok and place or nil
end

-- Levels in package variables. Of a verbosity it holds: the higher, the more.
local verbosity = { error = 0, warn = 0, info = 0, debug = 4, trace = 6 }
local variables = {
  { name = "klog", expr = "k8s.io/klog/v2.logging.settings.verbosity", levels = verbosity },
  { name = "klog", expr = "k8s.io/klog/v2.logging.verbosity", levels = verbosity },
  { name = "klog", expr = "k8s.io/klog.logging.verbosity", levels = verbosity },
  { name = "glog", expr = "github.com/golang/glog.vflags.v", levels = verbosity },
  { name = "glog", expr = "github.com/golang/glog.logging.verbosity", levels = verbosity },
  { name = "zerolog", expr = "*github.com/rs/zerolog.gLevel", levels = kinds[4].levels },
  { name = "coredns", expr = "github.com/coredns/coredns/plugin/pkg/log.D.on", levels = { error = false, warn = false, info = false, debug = true, trace = true } },
}

local function level_name(levels, n)
  if levels == verbosity then return tostring(n) end
  for _, name in ipairs { "info", "debug", "trace", "warn", "error" } do
    if levels[name] == n then return name end
  end
  return tostring(n)
end

return {
  title = "what the program's loggers log, and another level for them",
  category = "go",
  description = [[
Finds slog.LevelVar, zap's AtomicLevel (etcd's too), logrus' and zerolog's loggers, zerolog's global level, klog's and glog's verbosity, CoreDNS's debug switch and the NATS server's debug
and trace flags, in package variables, in goroutines' frames and near them, and sets their level. What can't be set: levels that are constants of a handler or core
(slog.LevelInfo or zap.InfoLevel given as such: they are in an interface's box), zerolog's loggers on stacks and in copies that nothing leads to, and package log, which has no levels.]],
  params = {
    { name = "level", type = "string", required = true, help = "debug, info, warn, error, trace; or a number, as of klog -v" },
    { name = "logger", type = "string", help = "only this kind: slog, zap, logrus, zerolog, klog, glog, coredns, nats, nats-trace" },
  },
  columns = {
    { name = "logger", help = "its kind", key = true },
    { name = "where", help = "where it was found", key = true },
    { name = "was", help = "the level until now" },
    { name = "level", help = "from now on" },
  },
  sample = [[
LOGGER  WHERE       WAS   LEVEL
slog    main.level  info  debug]],
  run = function(p)
    local number = tonumber(p.level)
    local wanted, names, seen, known = {}, {}, {}, { }

    -- want notes a place, once, with all that is set together with it.
    local function want(kind, where, place, now, level, also)
      local at = ri.addr(place)
      if seen[at] then return end
      seen[at] = true
      wanted[#wanted + 1] = { kind = kind, where = where, place = place, now = now, level = level, also = also }
    end
    local function asked(kind)
      known[kind.name] = true
      return p.logger == nil or p.logger == kind.name
    end

    for _, kind in ipairs(kinds) do
      local level = number or kind.levels[p.level]
      if asked(kind) and ri.types("^" .. kind.type:gsub("[%.%-]", "\\%0") .. "$")[1] then
        names[#names + 1] = kind.name
        for _, f in ipairs(level and ri.find(kind.type, { depth = 4, all = true }) or {}) do
          local ok, place = pcall(kind.place, f.value)
          local readable, now = false, nil
          if ok and place and not f.stack then readable, now = pcall(ri.value, place) end
          if readable and (not kind.valid or kind.valid(now)) and not (kind.only_down and now <= level) then
            local own = kind.flag and nats_logger(f.value, kind.flag)
            want(kind, f.where, place, now, level, own and { place = own, level = level ~= 0 })
          end
        end
      end
    end
    for _, v in ipairs(variables) do
      local level = v.levels[p.level]
      if level == nil then level = number end
      if asked(v) and level ~= nil then
        local ok, place = pcall(ri.ref, v.expr)
        if ok then
          names[#names + 1] = v.name
          want(v, v.expr, place, ri.value(place), level)
        end
      end
    end
    if p.logger and not known[p.logger] then
      error("logger=" .. p.logger .. " is no kind that is known here: slog, zap, logrus, zerolog, klog, glog, coredns, nats, nats-trace", 0)
    end
    if #wanted == 0 then
      local of = p.logger and ("no logger of the kind " .. p.logger) or "no logger that is known here (slog.LevelVar, zap, logrus, zerolog, klog, glog, CoreDNS, NATS)"
      error(#names > 0 and ("its loggers (" .. table.concat(names, ", ") .. ") have no level that can be set or that is called " .. p.level) or "the program has " .. of, 0)
    end
    ri.change("log level " .. p.level, function(tx)
      for _, w in ipairs(wanted) do
        ri.emit { logger = w.kind.name, where = w.where, was = level_name(w.kind.levels, w.now), level = level_name(w.kind.levels, w.level) }
        tx:update(w.place, w.level)
        if w.also then tx:update(w.also.place, w.also.level) end
      end
    end)
  end,
}

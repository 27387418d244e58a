-- Finds the levels at which the program's loggers log, and sets them.

-- Each kind: the type to look for, the place of its level in it, and what the levels are called.
local kinds = {
  { name = "slog", type = "log/slog.LevelVar", place = function(v) return ri.ref(v, "val") end, levels = { debug = -4, info = 0, warn = 4, error = 8 } },
  { name = "zap", type = "go.uber.org/zap.AtomicLevel", place = function(v) return v.l and ri.ref(v.l) end, levels = { debug = -1, info = 0, warn = 1, error = 2 } },
  { name = "logrus", type = "github.com/sirupsen/logrus.Logger", place = function(v) return ri.ref(v, "Level") end,
    levels = { error = 2, warn = 3, info = 4, debug = 5, trace = 6 } },
  { name = "nats", type = "github.com/nats-io/nats-server/v2/server.Server", field = "debug",
    place = function(v) return ri.ref(ri.ref(v, "logging"), "debug") end, levels = { info = 0, debug = 1 } },
  { name = "nats-trace", type = "github.com/nats-io/nats-server/v2/server.Server", place = function(v) return ri.ref(ri.ref(v, "logging"), "trace") end,
    levels = { info = 0, trace = 1 } },
}

-- nats_logger is the flag that the server's own logger (logger.Logger) has beside the server's; both must be set. Another logger has none.
local function nats_logger(server, flag)
  local ok, place = pcall(function() return ri.ref(server.logging.logger, flag) end)
  return ok and place or nil
end
-- Verbosity in package variables: the higher, the more.
local verbosities = {
  { name = "klog", expr = "k8s.io/klog/v2.logging.settings.verbosity" },
  { name = "klog", expr = "k8s.io/klog/v2.logging.verbosity" },
  { name = "glog", expr = "github.com/golang/glog.vflags.v" },
  { name = "glog", expr = "github.com/golang/glog.logging.verbosity" },
}

local function has(expr) return (pcall(ri.ref, expr)) end

local function level_name(kind, n)
  for name, value in pairs(kind.levels) do if value == n then return name end end
end

return {
  title = "what the program's loggers log, and another level for them",
  category = "go",
  description = [[
Finds slog.LevelVar, zap's AtomicLevel (etcd's too), logrus' loggers, klog's and glog's verbosity and the NATS server's debug and trace flags, in package
variables, in goroutines' frames and near them, and sets their level. Levels that are constants of a handler (slog.LevelInfo given as such) can't be set: the
handler's options hold them in an interface's box.]],
  params = {
    { name = "level", type = "string", required = true, help = "debug, info, warn, error, trace; or a number, as of klog -v" },
    { name = "logger", type = "string", help = "only this kind: slog, zap, logrus, klog, glog, nats, nats-trace" },
  },
  columns = {
    { name = "logger", help = "its kind" },
    { name = "where", help = "where it was found" },
    { name = "was", help = "the level until now" },
    { name = "level", help = "from now on" },
  },
  sample = [[
LOGGER  WHERE       WAS   LEVEL
slog    main.level  info  debug]],
  run = function(p)
    local number = tonumber(p.level)
    local wanted, names = {}, {}
    for _, kind in ipairs(kinds) do
      local level = number or kind.levels[p.level]
      if (p.logger == nil or p.logger == kind.name) and pcall(ri.type, kind.type) then
        names[#names + 1] = kind.name
        local seen = {}
        if level then
          for _, f in ipairs(ri.find(kind.type, { depth = 4 })) do
            local place = kind.place(f.value)
            local at = place and ri.addr(place)
            if at and not seen[at] then
              seen[at] = true
              local now = ri.value(place)
              wanted[#wanted + 1] = { place = place, level = level }
              local flag = kind.name == "nats" and "debug" or kind.name == "nats-trace" and "trace"
              local own = flag and nats_logger(f.value, flag)
              if own then wanted[#wanted + 1] = { place = own, level = level ~= 0 } end
              ri.emit { logger = kind.name, where = f.where, was = level_name(kind, now) or tostring(now), level = level_name(kind, level) or tostring(level) }
            end
          end
        end
      end
    end
    for _, v in ipairs(verbosities) do
      local level = number or (p.level == "debug" and 4) or (p.level == "trace" and 6) or (p.level == "info" and 0) or nil
      if level and (p.logger == nil or p.logger == v.name) and has(v.expr) then
        local now = ri.eval(v.expr)
        names[#names + 1] = v.name
        wanted[#wanted + 1] = { place = v.expr, level = level }
        ri.emit { logger = v.name, where = v.expr, was = tostring(now), level = tostring(level) }
      end
    end
    if #wanted == 0 then
      local found = #names > 0 and ("its loggers (" .. table.concat(names, ", ") .. ") have no level that could be found or that is called " .. p.level)
        or "the program has no logger that is known here (slog.LevelVar, zap, logrus, klog, glog, NATS)"
      error(found, 0)
    end
    ri.change("log level " .. p.level, function(tx)
      for _, w in ipairs(wanted) do tx:update(w.place, w.level) end
    end)
  end,
}

-- What a Prometheus server scrapes.

local prometheus, words = require("prometheus/server"), require("words")

local reserved, parameter = "__", "__param_"

-- query escapes as url.QueryEscape does.
local function query(text)
  return (text:gsub("[^%w%-_.~]", function(c) return c == " " and "+" or ("%%%02X"):format(c:byte()) end))
end

-- path escapes as URL.String does.
local function path(text)
  if text:sub(1, 1) ~= "/" and text ~= "" then text = "/" .. text end
  return (text:gsub("[^%w%-_.~/$&+,:;=@]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- url is where a target is scraped: of its labels, with the parameters of its pool's configuration and those of labels, which go first.
local function url(target, labels)
  local label, params = {}, {}
  local config = ri.has(target, "scrapeConfig") and target.scrapeConfig or nil
  local configured = ri.has(target, "params") and target.params or config and config.Params
  if configured then
    for name, values in ri.pairs(configured) do
      params[name] = {}
      for _, value in ri.pairs(values) do table.insert(params[name], value) end
    end
  end
  for _, l in ipairs(labels) do
    label[l[1]] = l[2]
    if l[1]:sub(1, #parameter) == parameter then
      local name = l[1]:sub(#parameter + 1)
      params[name] = params[name] or {}
      params[name][1] = l[2]
    end
  end
  local names, pairs_of = {}, {}
  for name in pairs(params) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    for _, value in ipairs(params[name]) do pairs_of[#pairs_of + 1] = query(name) .. "=" .. query(value) end
  end
  local host = label.__address__ or ""
  if host == "" and (label.__unix_socket__ or "") ~= "" then host = "localhost" end
  return (label.__scheme__ or "http") .. "://" .. host .. path(label.__metrics_path__ or "") .. (#pairs_of > 0 and "?" .. table.concat(pairs_of, "&") or ""), label
end

local order = { down = 0, unknown = 1, up = 2 }

-- wanted lists the targets that the parameters choose, those that are down first.
local function wanted(manager, p)
  local list = {}
  for pool, scrapes in ri.pairs(manager.scrapePools) do
    if p.pool == "" or p.pool == pool then
      for _, target in ri.pairs(scrapes.activeTargets) do
        local health = target.health
        if p.health == "any" or p.health == health then list[#list + 1] = { pool = pool, target = target, health = health, at = ri.addr(target) } end
      end
    end
  end
  table.sort(list, function(a, b)
    local x, y = order[a.health] or 1, order[b.health] or 1
    if x ~= y then return x < y end
    if a.pool ~= b.pool then return a.pool < b.pool end
    return a.at < b.at
  end)
  return list
end

return {
  title = "what Prometheus scrapes, as /api/v1/targets",
  category = "prometheus",
  description = [[
Lists the targets with how their last scrape went, those that are down first. Targets that relabelling dropped are not shown.]],
  params = {
    { name = "pool", type = "string", default = "", help = "only those of this scrape pool: a job_name of the configuration" },
    { name = "health", type = "enum", values = { "any", "up", "down", "unknown" }, default = "any", help = "only those whose last scrape went so; unknown: there was none yet" },
    { name = "limit", type = "int", default = 1000, min = 0, help = "targets shown; all are counted" },
  },
  needs = {
    runtime = { "goroutine", "poller" },
    types = { prometheus.package .. "scrape.Manager" },
    fields = {
      prometheus.package .. "scrape.Manager.scrapePools", prometheus.package .. "scrape.scrapePool.activeTargets", prometheus.package .. "scrape.Target.labels",
      prometheus.package .. "scrape.Target.health", prometheus.package .. "scrape.Target.lastScrape",
    },
  },
  columns = {
    { name = "pool", help = "the scrape pool: a job_name of the configuration", key = true },
    { name = "instance", help = "its label" },
    { name = "health", help = "up, down, or unknown before the first scrape" },
    { name = "last_scrape", type = "time", help = "when the last one began" },
    { name = "duration", type = "duration", help = "what it took" },
    { name = "interval", help = "from one scrape to the next; as it is configured" },
    { name = "url", help = "where it is scraped", key = true },
    { name = "labels", help = "that its series get", key = true },
    { name = "error", help = "of the last scrape" },
  },
  sample = [[
POOL  INSTANCE        HEALTH  LAST SCRAPE           DURATION  INTERVAL  URL                            LABELS                                    ERROR
node  127.0.0.1:9100  down    2026-11-21T07:18:20Z  422us     15s       http://127.0.0.1:9100/metrics  {instance="127.0.0.1:9100", job="node"}  Get "http://127.0.0.1:9100/metrics": dial tcp 127.0.0.1:9100: connect: connection refused
1 target: 1 down]],
  run = function(p)
    local list, counts = wanted(prometheus.manager(), p), {}
    for i, found in ipairs(list) do
      counts[found.health] = (counts[found.health] or 0) + 1
      if i <= p.limit then
        local t = found.target
        local labels = prometheus.labels(t.labels)
        local address, label = url(t, labels)
        ri.emit {
          pool = found.pool, instance = label.instance, health = found.health, last_scrape = t.lastScrape, duration = t.lastScrapeDuration,
          interval = label.__scrape_interval__, url = address, labels = prometheus.set(labels, function(name) return name:sub(1, #reserved) ~= reserved end),
          error = prometheus.error_text(t, "lastError"),
        }
      end
    end
    local said = {}
    for _, health in ipairs { "down", "unknown", "up" } do
      if counts[health] then said[#said + 1] = counts[health] .. " " .. health end
    end
    print(words.shown(#list, "target", p.limit) .. (#said > 0 and ": " .. table.concat(said, ", ") or ""))
  end,
}

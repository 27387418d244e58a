-- Moves a service to another state, if its state machine lets it.

return {
  title = "change a service's state",
  category = "target",
  description = [[
Moves a service to another state, by the name of the constant. Which states may follow is read from the program's own table
(serviceTransitions); others are refused. The count of transitions goes up with it. since=, the time of the change, stays as it was.]],
  params = {
    { name = "service", type = "string", required = true, help = "the service's name, ios-0" },
    { name = "state", type = "string", required = true, help = "ServiceOffline, ServiceStarting, ..." },
  },
  needs = {
    vars = { "main.store", "main.serviceTransitions" },
    fields = { "main.Store.services", "main.Service.name", "main.Service.state", "main.Service.transitions" },
  },
  columns = {
    { name = "service", help = "the service", key = true },
    { name = "was", help = "its state until now" },
    { name = "state", help = "its state from now on" },
    { name = "transitions", type = "int", help = "changes of state so far" },
  },
  sample = [[
SERVICE  WAS            STATE          TRANSITIONS
ios-0    ServiceOnline  ServiceFailed            3]],
  run = function(p)
    local function short(name) return name and name:gsub("^.*%.", "") end
    for index, service in ri.pairs(ri.var("main.store").services) do
      if service.name == p.service then
        local was = short(ri.name(service, "state"))
        local allowed, names = false, {}
        for i, state in ri.pairs(ri.var("main.serviceTransitions")[service.state]) do
          local name = short(ri.name(ri.ref(ri.var("main.serviceTransitions")[service.state], i)))
          names[#names + 1] = name
          if name == short(p.state) then allowed = true end
        end
        if not allowed then
          error(("%s is %s, which %s can't follow; %s can"):format(p.service, was, p.state, table.concat(names, ", ")), 0)
        end
        local path = ("main.store.services[%d]"):format(index)
        ri.emit { service = service.name, was = was, state = short(p.state), transitions = service.transitions + 1 }
        ri.change(("%s: %s -> %s"):format(p.service, was, p.state), function(tx)
          tx:lock(path .. ".mu")
          tx:update(path .. ".state", short(p.state))
          tx:mutate(path .. ".transitions", "+=", 1)
        end)
        return
      end
    end
    error(("no service is called %q"):format(p.service), 0)
  end,
}

-- All requests that the handler has: those that run, the run queue, the wait queue.

local function emit(queue, request)
  local session, worker, age = request.session, request.worker, ri.age(ri.ref(request, "arrival"))
  ri.emit {
    id = request.id, queue = queue, op = ri.name(request, "op"):match("[^.]*$"), state = ri.name(request, "state"):match("[^.]*$"),
    age = age and math.floor(age * 1e9), object = request.object, session = session and session.id or 0,
    client = session and session.client or "", worker = worker and worker.id or -1, goroutine = worker and worker.goroutine or 0,
  }
end

return {
  title = "all requests queued or running",
  category = "target",
  description = [[
Lists the requests that workers serve, those in the run queue and those in the wait queue, in this order, each with its age, its state,
and the goroutine that serves it.]],
  params = { { name = "queue", type = "enum", values = { "all", "running", "queued", "waiting" }, default = "all", help = "only these" } },
  needs = {
    vars = { "main.store" },
    fields = {
      "main.Handler.runQueue", "main.Handler.waitQueue", "main.Handler.workers", "main.Worker.current", "main.Worker.goroutine",
      "main.Request.id", "main.Request.state", "main.Request.arrival", "main.Request.next",
    },
  },
  columns = {
    { name = "id", type = "int", key = true },
    { name = "queue", help = "running, queued or waiting" },
    { name = "op", help = "what it asks for" },
    { name = "state", help = "by name" },
    { name = "age", type = "duration", help = "since it arrived" },
    { name = "object", help = "name, or prefix of a list" },
    { name = "session", type = "int", help = "0: it came over HTTP" },
    { name = "client", help = "the name that it gave itself" },
    { name = "worker", type = "int", help = "-1: none yet" },
    { name = "goroutine", type = "int", help = "the worker's; 0: none yet" },
  },
  sample = [[
ID  QUEUE    OP     STATE              AGE  OBJECT        SESSION  CLIENT    WORKER  GOROUTINE
41  running  OpPut  RequestRunning   12.1s  images/a.png        2  client-1       0         20
44  queued   OpGet  RequestQueued    11.9s  images/b.png        0                -1          0
admitting requests, workers stalled]],
  run = function(p)
    local handler = ri.var("main.store").handler
    if not handler then error("this role of the program handles no requests", 0) end
    local function wanted(queue) return p.queue == "all" or p.queue == queue end
    if wanted("running") then
      for _, worker in ri.pairs(handler.workers) do
        if worker.current then emit("running", worker.current) end
      end
    end
    if wanted("queued") then
      local request, left = handler.runQueue.head, handler.runQueue.length
      while request and left > 0 do
        emit("queued", request)
        request, left = request.next, left - 1
      end
    end
    if wanted("waiting") then
      for _, request in ri.pairs(handler.waitQueue) do emit("waiting", request) end
    end
    print((handler.admitting and "admitting" or "not admitting") .. " requests" .. (handler.stalled and ", workers stalled" or ""))
  end,
}

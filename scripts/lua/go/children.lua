-- Child processes, and who waits for them.

local words = require "words"

local states = { R = "running", S = "sleeping", D = "in the kernel", Z = "ended, not waited for", T = "stopped", t = "traced", I = "idle", X = "ended" }

-- Where package os waits for a process, outermost last.
local waits = { ["os.(*Process).Wait"] = true, ["os.(*Process).wait"] = true, ["os.(*Process).pidWait"] = true, ["os.(*Process).pidfdWait"] = true, ["os.(*Process).blockUntilWaitable"] = true }

-- awaited is the child that a goroutine waits for, if its frames tell, and the function that asked for it.
local function awaited(g)
  local pid, inside, caller
  for i, f in ipairs(g:stack(64)) do
    if waits[f.func] then
      inside = true
      local ok, vars = pcall(function() return g:locals(i) end)
      if ok and vars.p ~= nil then pcall(function() pid = pid or vars.p.Pid end) end
    elseif inside and not f.func:find("^os/exec%.") then
      caller = f
      break
    end
  end
  return inside, pid, caller
end

return {
  title = "child processes, and which goroutines wait for them",
  category = "go",
  description = [[
Lists the process's children as the kernel has them, and the goroutine that waits for each in os.Process.Wait, as os/exec does. A child that has ended and that nobody waits for stays, as
a zombie, until somebody does. Whom a goroutine waits for its frames tell; where the compiler left nothing of that, the goroutine is told in a line of its own.]],
  needs = { runtime = { "goroutine" } },
  params = {},
  columns = {
    { name = "pid", type = "int", help = "of the child", key = true },
    { name = "name", help = "as the kernel has it" },
    { name = "state", help = "running, sleeping, ended, not waited for, ..." },
    { name = "age", type = "duration", help = "since it was started" },
    { name = "goroutine", type = "int", help = "who waits for it" },
    { name = "func", help = "who asked to wait", cut = "left" },
    { name = "command", help = "its command line, with what looks like a secret masked" },
  },
  sample = [[
 PID  NAME   STATE                    AGE  GOROUTINE  FUNC         COMMAND
4712  sleep  sleeping               2.01s         34  main.backup  sleep 600
4713  true   ended, not waited for  1m12s          -  -            -]],
  run = function()
    local children, why = ri.children()
    if why then ri.log(why) end
    local by, unknown = {}, {}
    for g in ri.goroutines() do
      if g.status == "waiting" or g.status == "syscall" then
        local waiting, pid, caller = awaited(g)
        local one = { id = g.id, func = caller and caller.func }
        if waiting and pid then
          by[pid] = by[pid] or one
        elseif waiting then
          unknown[#unknown + 1] = one
        end
      end
    end
    local ended = 0
    local now = ri.now()
    for _, c in ipairs(children) do
      local g = by[c.pid] or {}
      if c.state == "Z" and not by[c.pid] then ended = ended + 1 end
      local command = ri.masked(c.command)
      ri.emit {
        pid = c.pid, name = c.name, state = states[c.state] or c.state, age = math.max(0, math.floor((now - c.started) * 1e9)), goroutine = g.id, func = g.func,
        command = #command > 0 and command[1] ~= "" and table.concat(command, " ") or nil,
      }
    end
    if not why then print((#children == 1 and "1 child" or #children .. " children") .. (ended > 0 and (", %d of them ended, and nobody waits"):format(ended) or "")) end
    for _, g in ipairs(unknown) do print(("goroutine %s waits for a child; which one isn't known (%s)"):format(tostring(g.id), g.func or "?")) end
  end,
}

package layout

import "ri/symbols"

// Poller is what the runtime's netpoller keeps of descriptors: runtime/netpoll.go, malloc.go.
type Poller struct {
	Group
	Chunks symbols.Var // runtime.persistentChunks: the first, whose first word leads to the next
	Cache  symbols.Var // runtime.pollcache
	First  Field       // of it: the first that is free

	Structure        // runtime.pollDesc
	Self, Link Field // itself; the next that is free
}

func (c *compiler) poller() (l Poller) {
	l.Group = c.group("poller")
	l.Chunks, l.Cache = c.variable(&l.Group, "runtime.persistentChunks"), c.variable(&l.Group, "runtime.pollcache")
	l.First = c.behind(&l.Group, l.Cache, "runtime.pollCache", false).required(always, "first")
	d := c.structure(&l.Group, "runtime.pollDesc")
	l.Structure = d
	l.Self, l.Link = d.required(always, "self"), d.required(always, "link")
	// What lib/netpoll.lua reads by name.
	for _, name := range []string{"fd", "closing", "rg", "wg", "rd", "wd"} {
		d.required(always, name)
	}
	return l
}

// Timer is the runtime's timers: runtime/time.go. lib/timers.lua reads them, by the fields' names.
type Timer struct{ Group }

func (c *compiler) timer() (l Timer) {
	l.Group = c.group("timer")
	c.variable(&l.Group, "runtime.allp")
	c.structure(&l.Group, "runtime.p").required(always, "timers")
	c.ifUsed(&l.Group, "runtime.timers").required(since(23), "heap")
	t := c.structure(&l.Group, "runtime.timer")
	for _, name := range []string{"when", "period", "f", "arg"} {
		t.required(always, name)
	}
	t.required(always, "state", "status") // state: since Go 1.23
	t.optional(until(22), "nextwhen")
	return l
}

// Collector is how the garbage collector says what it is doing: runtime/mgc.go.
type Collector struct {
	Group
	Phase   symbols.Var // runtime.gcphase
	Barrier symbols.Var // runtime.writeBarrier
	Enabled Field       // of it
	Work    symbols.Var // runtime.work
	Cycles  Field       // of it: how many have begun
}

func (c *compiler) collector() (l Collector) {
	l.Group = c.group("collector")
	l.Phase = c.variable(&l.Group, "runtime.gcphase")
	l.Barrier, l.Work = c.variable(&l.Group, "runtime.writeBarrier"), c.variable(&l.Group, "runtime.work")
	l.Enabled = c.behind(&l.Group, l.Barrier, "runtime.writeBarrier", false).required(always, "enabled")
	l.Cycles = c.behind(&l.Group, l.Work, "runtime.work", false).required(always, "cycles")
	return l
}

package layout

import "ri/symbols"

// Goroutine is what every goroutine has, and the list of all of them: runtime/runtime2.go.
type Goroutine struct {
	Group
	All symbols.Var // runtime.allgs: []*runtime.g

	Structure // runtime.g
	ID, Status,
	SP, PC, Lo, Hi, // where it parked, its stack
	SyscallSP, SyscallPC, // where it entered a system call
	StartPC, M Field
	WaitReason, WaitSince, Parent, GoPC, Labels Field
	// Switches counts how often it has stopped running, in 8 bits.
	Switches Field
	// Preempted tells whether it was interrupted in the middle of its code.
	Preempted Field

	ThreadID Field       // in a runtime.m
	Reasons  symbols.Var // runtime.waitReasonStrings; the zero Var if it isn't known
	Count    symbols.Var // runtime.allglen, as Reasons
}

func (c *compiler) goroutine() (l Goroutine) {
	l.Group = c.group("goroutine")
	l.All = c.variable(&l.Group, "runtime.allgs")
	l.Reasons, _ = c.source.Var("runtime.waitReasonStrings")
	l.Count, _ = c.source.Var("runtime.allglen")
	g := c.structure(&l.Group, "runtime.g")
	l.Structure = g
	l.ID = g.required(always, "goid")
	l.Status = g.required(always, "atomicstatus")
	l.SP, l.PC = g.required(always, "sched.sp"), g.required(always, "sched.pc")
	l.Lo, l.Hi = g.required(always, "stack.lo"), g.required(always, "stack.hi")
	l.SyscallSP, l.SyscallPC = g.required(always, "syscallsp"), g.required(always, "syscallpc")
	l.StartPC = g.required(always, "startpc")
	l.M = g.required(always, "m")
	l.WaitReason = g.optional(always, "waitreason")
	l.WaitSince = g.optional(always, "waitsince")
	l.Parent = g.optional(since(21), "parentGoid")
	l.GoPC = g.optional(always, "gopc")
	l.Labels = g.optional(always, "labels")
	l.Switches = g.optional(always, "trackingSeq")
	l.Preempted = g.optional(always, "asyncSafePoint")
	l.ThreadID = c.structure(&l.Group, "runtime.m").required(always, "procid")
	return l
}

// Thread is the runtime's threads: runtime/runtime2.go.
type Thread struct {
	Group
	All symbols.Var // runtime.allm: *runtime.m

	Structure // runtime.m
	ID, G0, SignalG, CurG, Next,
	Dying, Throwing, // how it ends the program
	VDSOSP, VDSOPC Field // where it called the vDSO
}

func (c *compiler) thread(goroutine *Goroutine) (l Thread) {
	l.Group = c.group("thread", &goroutine.Group)
	l.All = c.variable(&l.Group, "runtime.allm")
	m := c.structure(&l.Group, "runtime.m")
	l.Structure = m
	l.ID, l.Next = m.required(always, "procid"), m.required(always, "alllink")
	l.G0, l.SignalG, l.CurG = m.required(always, "g0"), m.required(always, "gsignal"), m.required(always, "curg")
	l.Dying, l.Throwing = m.required(always, "dying"), m.required(always, "throwing")
	l.VDSOSP, l.VDSOPC = m.required(always, "vdsoSP"), m.required(always, "vdsoPC")
	return l
}

// Channel is a channel: runtime/chan.go.
type Channel struct {
	Group
	Structure                              // runtime.hchan
	Count, Capacity, Buffer, Closed, First Field
	// ElemType is the descriptor of the elements' type, whose size is ElemSize. Timer is the runtime's timer that sends
	// to it.
	ElemType, ElemSize, Timer Field
}

func (c *compiler) channel() (l Channel) {
	l.Group = c.group("channel")
	h := c.structure(&l.Group, "runtime.hchan")
	l.Structure = h
	l.Count, l.Capacity = h.required(always, "qcount"), h.required(always, "dataqsiz")
	l.Buffer, l.First = h.required(always, "buf"), h.required(always, "recvx")
	l.Closed = h.required(always, "closed")
	l.ElemType, l.ElemSize = h.optional(always, "elemtype"), h.optional(always, "elemsize")
	l.Timer = h.optional(since(23), "timer")
	return l
}

// Queue is how goroutines wait for channels, locks and the like: runtime/runtime2.go, chan.go, sema.go.
type Queue struct {
	Group
	// Waiting leads from a runtime.g to its first Sudog; WaitReason tells what for.
	Waiting, WaitReason Field
	Sudog               Sudog
	// Receivers and Senders lead from a runtime.hchan to the first runtime.sudog of each.
	Receivers, Senders Field
	// Table is runtime.semtable, an array of slots; Root leads from one to the top of its tree of runtime.sudog.
	Table symbols.Var
	Root  Field
	// Head leads from a runtime.notifyList to its first runtime.sudog; not Known where the program has no sync.Cond.
	Head Field
}

// Sudog is a goroutine in a queue.
type Sudog struct {
	Structure // runtime.sudog
	G, Next, Prev, WaitLink,
	Elem, Chan, // what is sent, or the address of the semaphore; the channel
	TracedElem, TracedChan, // the same, as the collector follows it: nil while it is told not to
	Select Field // whether it waits for others too
}

func (c *compiler) queue(goroutine *Goroutine, channel *Channel) (l Queue) {
	l.Group = c.group("queue", &goroutine.Group, &channel.Group)
	g := c.structure(&l.Group, "runtime.g")
	l.Waiting, l.WaitReason = g.required(always, "waiting"), g.required(always, "waitreason")
	c.variable(&l.Group, "runtime.waitReasonStrings")
	s := c.structure(&l.Group, "runtime.sudog")
	l.Sudog.Structure = s
	l.Sudog.G, l.Sudog.Next, l.Sudog.Prev, l.Sudog.WaitLink = s.required(always, "g"), s.required(always, "next"),
		s.required(always, "prev"), s.required(always, "waitlink")
	// Since Go 1.26 a pointer that the collector may be told to overlook, and behind it the same as a number
	// (runtime.maybeTraceablePtr).
	l.Sudog.Elem, l.Sudog.Chan = s.required(always, "elem.vu", "elem"), s.required(always, "c.vu", "c")
	l.Sudog.TracedElem, l.Sudog.TracedChan = s.required(always, "elem.vp", "elem"), s.required(always, "c.vp", "c")
	l.Sudog.Select = s.required(always, "isSelect")
	h := c.structure(&l.Group, "runtime.hchan")
	l.Receivers, l.Senders = h.required(always, "recvq.first"), h.required(always, "sendq.first")
	l.Table = c.variable(&l.Group, "runtime.semtable")
	l.Root = c.behind(&l.Group, l.Table, "runtime.semtable[0]", true).required(always, "root.treap")
	l.Head = c.ifUsed(&l.Group, "runtime.notifyList").required(always, "head")
	return l
}

// Lock is the locks of package sync: sync/mutex.go, rwmutex.go, waitgroup.go, cond.go, internal/sync/mutex.go. A
// program has the types that it uses.
type Lock struct {
	Group
	Mutex struct {
		Structure
		State, Sema Field
	}
	InnerState Field // of an internal/sync.Mutex, which is in a sync.Mutex since Go 1.24
	RWMutex    struct {
		Structure
		State, // of the Mutex that it begins with
		Readers, Leaving, WriterSema, ReaderSema Field
	}
	WaitGroup struct {
		Structure
		State, Sema Field
	}
	Cond struct {
		Structure
		Notify Field
	}
}

func (c *compiler) lock() (l Lock) {
	l.Group = c.group("lock")
	m := c.ifUsed(&l.Group, "sync.Mutex")
	l.Mutex.Structure = m
	l.Mutex.State, l.Mutex.Sema = m.required(always, "mu.state", "state"),
		m.required(always, "mu.sema", "sema") // mu: since Go 1.24
	l.InnerState = c.ifUsed(&l.Group, "internal/sync.Mutex").required(since(24), "state")
	rw := c.ifUsed(&l.Group, "sync.RWMutex")
	l.RWMutex.Structure = rw
	l.RWMutex.State = rw.required(always, "w.mu.state", "w.state")
	l.RWMutex.Readers, l.RWMutex.Leaving = rw.required(always, "readerCount"), rw.required(always, "readerWait")
	l.RWMutex.WriterSema, l.RWMutex.ReaderSema = rw.required(always, "writerSem"), rw.required(always, "readerSem")
	wg := c.ifUsed(&l.Group, "sync.WaitGroup")
	l.WaitGroup.Structure = wg
	l.WaitGroup.State, l.WaitGroup.Sema = wg.required(always, "state", "state1"), wg.required(always, "sema", "state2")
	cond := c.ifUsed(&l.Group, "sync.Cond")
	l.Cond.Structure = cond
	l.Cond.Notify = cond.required(always, "notify")
	return l
}

package waits

import (
	"maps"
	"slices"
	"strings"

	"ri/symbols/flow"
	"ri/values"
)

// Wanted is a channel or WaitGroup, and what somebody would have to do with it: "send", "receive" (close counts too)
// or "done"; or a Cond or a semaphore.Weighted, and "wake".
type Wanted struct {
	Addr uint64
	Kind string
}

// wants are the kinds, and what does.
var wants = map[string]map[flow.UseKind]bool{
	"send":    {flow.Sends: true, flow.Closes: true},
	"receive": {flow.Receives: true, flow.Closes: true},
	"done":    {flow.Done: true},
	"wake":    {flow.Wakes: true},
}

// WantKinds names the kinds of Wanted that scripts may ask for.
func WantKinds() []string { return []string{"send", "receive", "done"} }

// Users are the goroutines of which a function on the stack, or one that such a function calls, will do what is
// wanted on one of its ways on, as far as the code tells.
type Users struct {
	Sure map[Wanted][]int64 // it is that very channel or WaitGroup
	May  map[string]May     // by kind: it is one that can't be told
}

// May is goroutines that do something to a channel or WaitGroup that can't be told: by number, of which types the
// channel's elements may be, AnyType of all.
type May map[int64][]string

// AnyType: the type isn't known either.
const AnyType = ""

// userSearch is one run of Users.
type userSearch struct {
	s      *values.Space
	p      *flow.Program
	wanted map[uint64][]Wanted // by address
	kinds  map[string]bool     // that are wanted at all
	waits  map[uint64]uint64   // the one thing that a goroutine, by its runtime.g, waits for
	out    *Users
	may    map[string]map[string]bool // of the goroutine that is looked at: kinds, and types
	sure   map[Wanted]bool
}

// Users finds for each of wanted the goroutines that will do what is wanted. Goroutines in system calls and those
// that wait count too; what a goroutine does at the moment, waiting to receive, say, is not what it will do. The time
// it takes grows with the goroutines, not with what is wanted. The error is ErrNotRecorded where code is missing: who
// is not found may be in it.
func (r *Reader) Users(w *Waits, wanted []Wanted, groups []*values.StackGroup, check func()) (*Users, error) {
	if err := r.readUses(); err != nil {
		return nil, err
	}
	return r.usersOf(r.uses, w, wanted, groups, check)
}

// usersOf is Users by one of the analyses.
func (r *Reader) usersOf(p *flow.Program, w *Waits, wanted []Wanted, groups []*values.StackGroup, check func()) (*Users,
	error) {
	u := &userSearch{s: r.s, p: p, wanted: map[uint64][]Wanted{}, kinds: map[string]bool{},
		waits: map[uint64]uint64{}, out: &Users{Sure: map[Wanted][]int64{}, May: map[string]May{}}}
	for _, one := range wanted {
		u.wanted[one.Addr], u.kinds[one.Kind] = append(u.wanted[one.Addr], one), true
	}
	if len(wanted) == 0 {
		return u.out, nil
	}
	if w != nil {
		u.waits = w.single()
	}
	for _, group := range groups {
		if !u.mayUse(group, check) {
			continue
		}
		for _, addr := range group.Addrs {
			if check != nil {
				check()
			}
			if g, err := r.s.GoroutineAt(addr); err == nil && g != nil {
				r.s.OnStack(g, func() { u.goroutine(g) })
			}
		}
	}
	return u.out, p.Lacks()
}

// readUses makes the analysis of what functions do with channels and WaitGroups, which is kept for all looks.
func (r *Reader) readUses() error {
	if r.uses != nil {
		return nil
	}
	program, err := r.program()
	if err == nil {
		r.uses = program.Uses(func(function string) bool { return isStandard(r.s, function) })
	}
	return err
}

// single gives for each goroutine, by its runtime.g, what it waits for, if that is one thing.
func (w *Waits) single() map[uint64]uint64 {
	out := map[uint64]uint64{}
	note := func(addr uint64, queues ...[]Waiter) {
		for _, queue := range queues {
			for i := range queue {
				if queue[i].Others == 0 {
					out[queue[i].Addr] = addr
				}
			}
		}
	}
	for _, lock := range w.Locks {
		note(lock.Addr, lock.Writers, lock.Readers, lock.Waiting)
	}
	for _, c := range w.Channels {
		note(c.Addr, c.Senders, c.Receivers)
	}
	return out
}

// concerns tells whether a frame's function is looked at.
func (u *userSearch) concerns(f *values.Frame) bool {
	return !f.Inlined && !strings.HasPrefix(f.Func, "runtime.")
}

// uses gives what the function of a frame will do.
func (u *userSearch) uses(f *values.Frame) (uses []flow.Use, at *flow.State, known bool) {
	return u.p.UsesAt(f.At-u.s.Bias(), f.At == f.PC)
}

// mayUse tells whether a stack has a function that does anything that is wanted.
func (u *userSearch) mayUse(group *values.StackGroup, check func()) bool {
	for i := range group.Frames {
		// What a wrapper called may stand for it: a method value's is left out of these frames.
		f := &group.Frames[i]
		if !f.Inlined && !u.concerns(f) {
			continue
		}
		if check != nil {
			check()
		}
		uses, _, known := u.uses(f)
		if !known {
			return true
		}
		for _, use := range uses {
			for kind := range u.kinds {
				if wants[kind][use.Kind] || use.Kind == flow.Defers {
					return true
				}
			}
		}
	}
	return false
}

// goroutine notes what one goroutine will do.
func (u *userSearch) goroutine(g *values.Goroutine) {
	u.may, u.sure = map[string]map[string]bool{}, map[Wanted]bool{}
	frames, _ := g.Unwind(0)
	stateAt := func(f *values.Frame) *flow.State {
		_, at, _ := u.uses(f)
		return at
	}
	deferred := false
	for _, c := range codeFrames(u.s, frames, stateAt, u.waits[g.Addr]) {
		if !u.concerns(c.frame) {
			continue
		}
		uses, _, _ := u.uses(c.frame)
		own := !isStandard(u.s, c.frame.Func)
		for _, use := range uses {
			if use.Kind == flow.Defers {
				deferred = true
				continue
			}
			if use.Kind == flow.Receives && u.givesBack(c, use, uses) {
				continue
			}
			u.use(c, use, own)
		}
	}
	for i := range frames {
		if f := &frames[i]; u.concerns(f) && !isStandard(u.s, f.Func) {
			if _, _, known := u.uses(f); !known {
				u.any()
			}
		}
	}
	if deferred {
		u.deferred(g)
	}
	for kind, types := range u.may {
		if u.out.May[kind] == nil {
			u.out.May[kind] = May{}
		}
		u.out.May[kind][g.ID] = slices.Sorted(maps.Keys(types))
	}
	for wanted := range u.sure {
		u.out.Sure[wanted] = append(u.out.Sure[wanted], g.ID)
	}
}

// givesBack tells whether a function receives from a channel only what it has sent to it before: as one does that
// takes a channel for a semaphore. Where senders wait it won't come to that.
func (u *userSearch) givesBack(c codeFrame, use flow.Use, uses []flow.Use) bool {
	word, ok := c.value(use.What)
	if !ok || use.At == 0 || len(u.wanted[word]) == 0 {
		return false
	}
	var sends []uint64
	for _, other := range uses {
		if other.Kind == flow.Sends && !other.Tries && !other.Later && other.At != use.At {
			if to, ok := c.value(other.What); ok && to == word {
				sends = append(sends, other.At)
			}
		}
	}
	return len(sends) > 0 && !u.p.Around(c.frame.At-u.s.Bias(), c.frame.At == c.frame.PC, sends)(use.At)
}

// any notes that the goroutine may do anything to anything.
func (u *userSearch) any() {
	for kind := range u.kinds {
		u.mayUseOf(kind, AnyType)
	}
}

func (u *userSearch) mayUseOf(kind, elem string) {
	if u.may[kind] == nil {
		u.may[kind] = map[string]bool{}
	}
	u.may[kind][elem] = true
}

// use notes one use.
func (u *userSearch) use(c codeFrame, use flow.Use, own bool) {
	word, ok := c.value(use.What)
	for kind := range u.kinds {
		if !wants[kind][use.Kind] {
			continue
		}
		if !ok && own && !use.Library {
			elem := AnyType
			if t := channelType(u.s, c.entry, c.state, use.What); t != nil && t.Elem() != nil {
				elem = t.Elem().Name
			}
			u.mayUseOf(kind, elem)
		}
		for _, wanted := range u.wanted[word] {
			if ok && wanted.Kind == kind {
				u.sure[wanted] = true
			}
		}
	}
}

// maxDeferred bounds a list of deferred calls.
const maxDeferred = 1 << 12

// deferred notes what the calls do that the goroutine has deferred, in the runtime's own list.
func (u *userSearch) deferred(g *values.Goroutine) {
	l := &u.s.Layouts().Heap
	if !l.Defer.Known() || !l.DeferFunc.Known() || !l.DeferLink.Known() {
		u.any()
		return
	}
	record, err := u.s.Field(g.Addr, l.Defer)
	for n := 0; err == nil && record != 0; n++ {
		var closure, entry uint64
		if closure, err = u.s.Field(record, l.DeferFunc); err == nil && closure != 0 {
			entry, err = u.s.Uint64(closure)
		}
		if n == maxDeferred || err != nil || closure == 0 { // a range-over-func loop's are kept elsewhere
			u.any()
			return
		}
		uses, at, known := u.p.EntryUses(entry - u.s.Bias())
		if !known {
			u.any()
			return
		}
		if at != nil {
			c := codeFrame{s: u.s, entry: entry - u.s.Bias(), frame: &values.Frame{}, state: at,
				known: map[*flow.Expr]uint64{at.Given(flow.Context): closure}}
			for _, use := range uses {
				if use.Kind != flow.Defers {
					u.use(c, use, true)
				}
			}
		}
		record, err = u.s.Field(record, l.DeferLink)
	}
	if err != nil {
		u.any()
	}
}

// isStandard tells whether a function is of the standard library, which uses no channel of the program's that it
// wasn't given.
func isStandard(s *values.Space, function string) bool {
	path := function
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		if j := strings.IndexByte(path[i:], '.'); j >= 0 {
			path = path[:i+j]
		}
	} else if j := strings.IndexByte(path, '.'); j >= 0 {
		path = path[:j]
	}
	first, _, _ := strings.Cut(path, "/")
	main, _ := s.File().MainModule()
	own := main != "" && (path == main || strings.HasPrefix(path, main+"/"))
	return path != "main" && !strings.Contains(first, ".") && !own
}

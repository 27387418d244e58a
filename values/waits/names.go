package waits

import (
	"fmt"
	"reflect"
	"sort"
	"strings"

	"ri/symbols"
	"ri/symbols/flow"
	"ri/values"
)

// This file finds names for what goroutines wait for: the variable, or the type and field, that it is, or that holds
// it.

// maxNamers is how many goroutines' frames are looked at for a name.
const maxNamers = 4

// NameLocks finds names for locks: of package variables, or of the types that frames' variables lead to.
func (r *Reader) NameLocks(w *Waits) {
	for _, lock := range w.Locks {
		if lock.Name = r.variableAt(lock.Addr); lock.Name != "" {
			continue
		}
		var ids []uint64
		for _, h := range lock.Holders {
			ids = append(ids, h.Addr)
		}
		for _, list := range [][]Waiter{lock.Writers, lock.Readers, lock.Waiting} {
			if len(list) > 0 {
				ids = append(ids, list[0].Addr)
			}
		}
		for _, addr := range ids[:min(len(ids), maxNamers)] {
			if lock.Name = onStackOf(r.s, addr, lock.Addr, nameFromFrames); lock.Name != "" {
				break
			}
		}
	}
}

// NameChannels finds names for channels: of package variables and fields that hold them, or of frames' variables.
func (r *Reader) NameChannels(list []*WaitedChannel) {
	if len(list) == 0 {
		return
	}
	unnamed := map[uint64]*WaitedChannel{}
	for _, c := range list {
		unnamed[c.Addr] = c
	}
	for _, place := range r.channelVariables() {
		if word, err := r.s.Uint64(place.addr + r.s.Bias()); err == nil && word != 0 {
			if c := unnamed[word]; c != nil && c.Name == "" {
				c.Name = place.name
			}
		}
	}
	for _, c := range list {
		if c.Name != "" {
			delete(unnamed, c.Addr)
			continue
		}
		n := 0
		for _, queue := range [][]Waiter{c.Senders, c.Receivers} {
			for i := 0; i < len(queue) && n < maxNamers && c.Name == ""; i++ {
				c.Name = onStackOf(r.s, queue[i].Addr, c.Addr, channelFromFrames)
				n++
			}
		}
		if c.Name != "" {
			delete(unnamed, c.Addr)
		}
	}
	r.nameThroughPointers(unnamed)
}

// Bounds of what is gone through for names behind package variables' pointers.
const (
	maxThrough      = 3    // pointers in a row
	maxThroughAll   = 4096 // objects
	maxThroughSlice = 64   // elements of a slice
)

// nameThroughPointers looks for channels in what package variables point to: "main.Hub.broadcast" of var hub *Hub.
func (r *Reader) nameThroughPointers(unnamed map[uint64]*WaitedChannel) {
	if len(unnamed) == 0 {
		return
	}
	n := namer{s: r.s, unnamed: unnamed, seen: map[uint64]bool{}}
	for _, v := range r.s.File().AllVars() {
		if v.Type != nil && !isStandard(r.s, v.Name) {
			n.follow(v.Type, v.Addr+r.s.Bias(), 0)
		}
	}
}

type namer struct {
	s       *values.Space
	unnamed map[uint64]*WaitedChannel
	seen    map[uint64]bool
}

// follow goes through a value's pointers.
func (n *namer) follow(t *symbols.Type, addr uint64, depth int) {
	if depth >= maxThrough || len(n.unnamed) == 0 {
		return
	}
	switch t.Kind {
	case reflect.Pointer:
		if base, err := n.s.Uint64(addr); err == nil && base != 0 {
			n.object(t.Elem(), base, depth)
		}
	case reflect.Slice:
		base, err := n.s.Uint64(addr)
		count, err2 := n.s.Uint64(addr + 8)
		if e := t.Elem(); e != nil && e.Size > 0 && leadsOn(e) && err == nil && err2 == nil && base != 0 {
			for i := range min(count, maxThroughSlice) {
				n.follow(e, base+i*uint64(e.Size), depth)
			}
		}
	case reflect.Struct:
		for _, f := range t.Fields() {
			if leadsOn(f.Type) {
				n.follow(f.Type, addr+uint64(f.Offset), depth)
			}
		}
	}
}

// leadsOn tells whether a value may lead to structs.
func leadsOn(t *symbols.Type) bool {
	return t.Kind == reflect.Pointer && t.Elem() != nil && t.Elem().Kind == reflect.Struct || t.Kind == reflect.Slice ||
		t.Kind == reflect.Struct
}

// object names the channels that a struct has, and goes on from it.
func (n *namer) object(t *symbols.Type, base uint64, depth int) {
	if t == nil || t.Kind != reflect.Struct || t.Name == "" || n.seen[base] || len(n.seen) >= maxThroughAll ||
		isStandard(n.s, t.Name) {
		return
	}
	n.seen[base] = true
	for _, field := range channelFields(t, 0) {
		word, err := n.s.Uint64(base + field.addr)
		if c := n.unnamed[word]; err == nil && c != nil {
			c.Name = n.s.File().ShortName(t.Name) + field.name
			delete(n.unnamed, word)
		}
	}
	n.follow(t, base, depth+1)
}

// channelPlace is where a channel's address lies.
type channelPlace struct {
	addr uint64
	name string
}

// maxChannelPlaces bounds those in all package variables together.
const maxChannelPlaces = 1 << 16

// channelVariables are the link-time places of channels in package variables.
func (r *Reader) channelVariables() []channelPlace {
	if r.channels == nil {
		r.channels = []channelPlace{}
		for _, v := range r.s.File().AllVars() {
			if v.Type != nil && len(r.channels) < maxChannelPlaces && !strings.HasPrefix(v.Name, "runtime.") {
				for _, field := range channelFields(v.Type, 0) {
					r.channels = append(r.channels, channelPlace{v.Addr + field.addr, r.s.File().ShortName(v.Name) + field.name})
				}
			}
		}
	}
	return r.channels
}

// channelFields are the offsets of channels in a type, and the ways there: ".jobs".
func channelFields(t *symbols.Type, depth int) (out []channelPlace) {
	switch {
	case t.Kind == reflect.Chan:
		return []channelPlace{{}}
	case depth > 4:
	case t.Kind == reflect.Struct:
		for _, f := range t.Fields() {
			for _, inner := range channelFields(f.Type, depth+1) {
				out = append(out, channelPlace{uint64(f.Offset) + inner.addr, "." + f.Name + inner.name})
			}
		}
	case t.Kind == reflect.Array && t.Elem() != nil && t.Len() <= 64:
		for i := range t.Len() {
			for _, inner := range channelFields(t.Elem(), depth+1) {
				out = append(out, channelPlace{uint64(i*t.Elem().Size) + inner.addr, fmt.Sprintf("[%d]%s", i, inner.name)})
			}
		}
	}
	return out
}

// onStackOf finds a name for what lies at an address in the frames of the goroutine whose runtime.g is at gaddr.
func onStackOf(s *values.Space, gaddr, addr uint64,
	find func(*values.Space, *values.Goroutine, uint64) string) (name string) {
	g, err := s.GoroutineAt(gaddr)
	if err != nil || g == nil {
		return ""
	}
	s.OnStack(g, func() { name = find(s, g, addr) })
	return name
}

// channelFromFrames looks for a variable in a goroutine's frames that is a channel, or leads to a struct with a field
// that is: "main.pool.jobs", else "jobs in main.work".
func channelFromFrames(s *values.Space, g *values.Goroutine, addr uint64) string {
	local := ""
	frames, _ := g.Stack(64)
	for i := range frames {
		f := &frames[i]
		if strings.HasPrefix(f.Func, "runtime.") {
			continue
		}
		vars, _ := g.Vars(f)
		for _, v := range vars {
			t, base := v.Value.Type, v.Value.Addr
			if t.Kind == reflect.Pointer && t.Elem() != nil {
				word, err := s.Uint64(base)
				if err != nil || word == 0 {
					continue
				}
				base = word
				t = t.Elem()
			}
			for _, field := range channelFields(t, 0) {
				if word, err := s.Uint64(base + field.addr); err != nil || word != addr {
					continue
				}
				if t.Kind == reflect.Struct && t.Name != "" {
					return s.File().ShortName(t.Name) + field.name
				}
				if local == "" {
					local = v.Name + field.name + " in " + f.Func
				}
			}
		}
	}
	return local
}

// variableAt names what lies at an address in a package variable: "main.store.mu"; "" for the heap.
func (r *Reader) variableAt(addr uint64) string {
	if r.byAddr == nil {
		r.byAddr = r.s.File().AllVars()
		sort.Slice(r.byAddr, func(i, j int) bool { return r.byAddr[i].Addr < r.byAddr[j].Addr })
	}
	at := addr - r.s.Bias()
	i := sort.Search(len(r.byAddr), func(i int) bool { return r.byAddr[i].Addr > at }) - 1
	if i < 0 || r.byAddr[i].Type == nil || at-r.byAddr[i].Addr >= uint64(max(r.byAddr[i].Type.Size, 1)) {
		return ""
	}
	v := r.byAddr[i]
	return r.s.File().ShortName(v.Name) + fieldPath(v.Type, int64(at-v.Addr))
}

// fieldPath names what lies at an offset in a type, down to sync's types: ".shards[3].mu".
func fieldPath(t *symbols.Type, off int64) string {
	return values.Selector(t, off, func(t *symbols.Type) bool { return strings.HasPrefix(t.Name, "sync.") })
}

// nameFromFrames looks for a variable in a goroutine's frames that points to the object that an address lies in.
func nameFromFrames(s *values.Space, g *values.Goroutine, addr uint64) string {
	frames, _ := g.Stack(64)
	for i := range frames {
		f := &frames[i]
		if flow.IsLockFunction(f.Func) || strings.HasPrefix(f.Func, "runtime.") {
			continue
		}
		vars, _ := g.Vars(f)
		for _, v := range vars {
			t := v.Value.Type
			if t.Kind == reflect.Pointer && t.Elem() != nil && t.Elem().Kind == reflect.Struct &&
				!strings.HasPrefix(t.Elem().Name, "sync.") {
				base, err := s.Uint64(v.Value.Addr)
				if err == nil && base != 0 && addr >= base && addr-base < uint64(max(t.Elem().Size, 1)) {
					return s.File().ShortName(t.Elem().Name) + fieldPath(t.Elem(), int64(addr-base))
				}
			}
			if base := v.Value.Addr; addr >= base && addr-base < uint64(max(t.Size, 1)) && t.Kind == reflect.Struct {
				return v.Name + fieldPath(t, int64(addr-base)) + " in " + f.Func
			}
		}
	}
	return ""
}

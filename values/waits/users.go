package waits

import (
	"strings"

	"ri/symbols/flow"
	"ri/values"
)

// Wanted is a channel or WaitGroup, and what somebody would have to do with it: "send", "receive" or "done".
type Wanted struct {
	Addr uint64
	Kind string
}

// User is a goroutine of which a function on the stack, or one that such a function calls, does what is wanted, as far as the code tells.
type User struct {
	ID      int64
	Certain bool // it is that very channel; else it may be, since which one it is can't be told
}

// maxMembers is how many goroutines of a group are looked at one by one.
const maxMembers = 256

// Users finds for each of wanted the goroutines that may do what is wanted. Goroutines in system calls and those that wait count too.
func (r *Reader) Users(wanted []Wanted, groups []*values.StackGroup, check func()) ([][]User, error) {
	s := r.s
	isStandard := func(function string) bool { return isStandard(s, function) }
	if r.uses == nil {
		program, err := r.program()
		if err != nil {
			return nil, err
		}
		r.uses = program.Uses(isStandard)
	}
	out := make([][]User, len(wanted))
	for _, group := range groups {
		type frameUses struct {
			uses  []flow.Use
			known bool
		}
		found := map[uint64]frameUses{} // by PC
		for i := range group.Frames {
			f := &group.Frames[i]
			if f.Inlined || strings.HasPrefix(f.Func, "runtime.") {
				continue
			}
			if check != nil {
				check()
			}
			if uses, _, known := r.uses.UsesAt(f.At - s.Bias()); len(uses) > 0 || !known {
				found[f.PC] = frameUses{uses, known}
			}
		}
		if len(found) == 0 {
			continue
		}
		for i, addr := range group.Addrs {
			if i >= maxMembers {
				break
			}
			g, err := s.GoroutineAt(addr)
			if err != nil || g == nil {
				continue
			}
			frames, _ := g.Unwind(0)
			state := make([]uint8, len(wanted)) // 1: may, 2: does
			now, busy := waitsAt(s, g, frames)
			for i := range frames {
				f := &frames[i]
				u, ok := found[f.PC]
				if !ok || f.Inlined {
					continue
				}
				_, at, _ := r.uses.UsesAt(f.At - s.Bias())
				own := !isStandard(f.Func)
				for k, w := range wanted {
					if !u.known && own {
						state[k] = max(state[k], 1)
					}
					for _, use := range u.uses {
						if use.Kind != w.Kind {
							continue
						}
						word, ok := uint64(0), false
						if at != nil {
							word, ok = codeFrame{s: s, frame: f, state: at}.value(use.What)
						}
						switch {
						case ok && word == w.Addr:
							state[k] = 2
						case !ok && i == now && use.Kind == busy && once(u.uses, busy):
							// It is what it waits for now, and that is another channel: else it would be in the queue of the one that is asked for.
						case !ok && own && !use.Library:
							state[k] = max(state[k], 1)
						}
					}
				}
			}
			for k := range wanted {
				if state[k] > 0 {
					out[k] = append(out[k], User{g.ID, state[k] == 2})
				}
			}
		}
	}
	return out, nil
}

// waitsAt gives the frame in which a goroutine waits for a channel, and for what, where it does so once in that call: in a function without a loop.
func waitsAt(s *values.Space, g *values.Goroutine, frames []values.Frame) (frame int, kind string) {
	kind = map[string]string{"chan receive": "receive", "chan send": "send"}[g.WaitReason]
	for i := range frames {
		if f := &frames[i]; kind != "" && !f.Inlined && !strings.HasPrefix(f.Func, "runtime.") {
			if flow.Loops(s.File(), f.At-s.Bias()) {
				break
			}
			return i, kind
		}
	}
	return -1, ""
}

// once tells whether there is one use of a kind.
func once(uses []flow.Use, kind string) bool {
	n := 0
	for _, u := range uses {
		if u.Kind == kind {
			n++
		}
	}
	return n == 1
}

// isStandard tells whether a function is of the standard library, which uses no channel of the program's that it wasn't given.
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
	if path == "main" || strings.Contains(first, ".") || main != "" && (path == main || strings.HasPrefix(path, main+"/")) {
		return false
	}
	return true
}

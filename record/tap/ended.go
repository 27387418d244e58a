package tap

import (
	"encoding/json"
	"time"

	"ri/record/calls"
)

// ended puts the ends of calls that had no return, as after a panic, behind all that these calls did: what a goroutine
// did until the next call came in was done in the call. What that call called out, and never returned, ended with it.
// t.index is in order before, and may not be after.
func (t *tape) ended() error {
	if len(t.unreturned) == 0 {
		return nil
	}
	type at struct {
		i  int
		ev calls.Event
	}
	lists := map[uint64][]at{}
	for i, e := range t.index {
		b, err := t.spool.at(e.off, int(e.size))
		if err != nil {
			return err
		}
		var ev calls.Event
		if err := json.Unmarshal(b, &ev); err != nil {
			return err
		}
		if t.unreturned[ev.Goroutine] != nil {
			ev.Values = nil
			lists[ev.Goroutine] = append(lists[ev.Goroutine], at{i, ev})
		}
	}
	comesIn := func(ev *calls.Event) bool { return ev.Kind == calls.Call && !ev.Out }
	for goroutine, list := range lists {
		over := false // the call that came in last has ended so
		for k := range list {
			x := &list[k]
			gone := x.ev.Kind == calls.Return && !x.ev.Out && x.ev.Ended != ""
			open := x.ev.Kind == calls.Call && x.ev.Out && t.unreturned[goroutine][t.index[x.i].number]
			if over = over && !comesIn(&x.ev) || gone; !gone && !open {
				continue
			}
			last, next := k, k+1
			for ; next < len(list); next++ {
				ev := &list[next].ev
				if comesIn(ev) || open && ev.Kind == calls.Return && !ev.Out && ev.Ended == "" {
					break
				}
				last = next
			}
			behind := t.index[list[last].i].at
			switch {
			case gone:
				t.index[x.i].at = behind.Add(2 * time.Nanosecond)
			case over || next < len(list):
				back := calls.Event{Goroutine: goroutine, Kind: calls.Return, Func: x.ev.Func, Out: true, On: x.ev.On,
					Ended: panicked}
				if err := t.keep(&back, behind.Add(time.Nanosecond), int(t.index[x.i].number)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// panicked is how a call ended that had no return.
const panicked = "panic or Goexit"

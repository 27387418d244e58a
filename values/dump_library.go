package values

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"ri/attach"
)

// library writes a value of the standard library by what it means, not by its words; false where its type has no such
// form, or isn't as it is known here. Its fields can still be asked for one by one.
func (d *dumper) library(v Value, depth, indent int) bool {
	name := v.Type.ShortName()
	if inner, offset, ok := v.s.Atomic(v.Type); ok {
		d.out.WriteString(name + "(")
		d.value(v.s.At(v.Addr+uint64(offset), inner), depth, indent, false)
		d.out.WriteByte(')')
		return true
	}
	var words []string
	count := func(n int64, singular, plural string) {
		switch {
		case n == 1:
			words = append(words, "1 "+singular)
		case n != 0:
			words = append(words, fmt.Sprintf("%d %s", n, plural))
		}
	}
	locked := map[bool]string{true: "locked", false: "unlocked"}
	var err error
	switch v.Type.Name {
	case "time.Time":
		var t time.Time
		if t, err = v.Time(); err == nil {
			if t.IsZero() {
				d.out.WriteString(name + "{}")
			} else {
				fmt.Fprintf(&d.out, "%s /* %s */", name, t.Format(time.RFC3339Nano))
			}
			return true
		}
	case "sync.Mutex", "internal/sync.Mutex":
		var m MutexState
		if m, err = v.Mutex(); err == nil {
			words = append(words, locked[m.Locked])
			count(m.Waiting, "waiting", "waiting")
			if m.Starving {
				words = append(words, "starving")
			}
		}
	case "sync.RWMutex":
		var m RWMutexState
		if m, err = v.RWMutex(); err == nil {
			if m.Locked || m.Readers == 0 {
				words = append(words, locked[m.Locked])
			}
			count(m.Readers, "reader", "readers")
			count(m.ReadersWaiting, "reader waiting", "readers waiting")
			count(m.WritersWaiting, "writer waiting", "writers waiting")
		}
	case "sync.WaitGroup":
		var g WaitGroupState
		if g, err = v.WaitGroup(); err == nil {
			words = append(words, fmt.Sprintf("count %d", g.Count))
			count(g.Waiting, "waiting", "waiting")
		}
	case "sync.Once":
		var done bool
		if done, err = v.OnceDone(); err == nil {
			words = append(words, map[bool]string{true: "done", false: "not done"}[done])
		}
	case "sync.Map":
		return d.syncMap(v, depth, indent)
	default:
		return false
	}
	if errors.Is(err, attach.ErrNotRecorded) { // nor would its words say more
		fmt.Fprintf(&d.out, "%s /* %s */", name, Absent(err))
		return true
	}
	if err != nil {
		return false
	}
	d.out.WriteString(name + "{" + strings.Join(words, ", ") + "}")
	return true
}

func (d *dumper) syncMap(v Value, depth, indent int) bool {
	if depth <= 0 {
		d.out.WriteString(v.Type.ShortName() + "{...}")
		return true
	}
	entries, more, broken := d.some(v.SyncMap())
	if broken != nil && entries == nil {
		return false
	}
	d.pairs(v.Type.ShortName(), entries, len(entries), d.opt.OneLine, depth, indent)
	if more {
		d.out.WriteString(" /* ... more */")
	}
	if broken != nil {
		d.fail(broken)
	}
	return true
}

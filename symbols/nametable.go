package symbols

import (
	"cmp"
	"slices"
	"sort"
	"unsafe"
)

// names is a table of names sorted by name, each with a number. The index uses it in this form, and the cache file has
// it in this form.
type names struct {
	blob    []byte
	entries []nameEntry
}

type nameEntry struct {
	off, size uint32 // of the name in blob
	value     uint64
}

// named is a name on its way into a table.
type named struct {
	name   string
	value  uint64
	second bool // counts only if no other has the name
}

// newNames sorts names into a table. With unique, the first of the same name stays, by value.
func newNames(list []named, unique bool) names {
	slices.SortFunc(list, func(a, b named) int {
		if c := cmp.Compare(a.name, b.name); c != 0 {
			return c
		}
		if a.second != b.second {
			if b.second {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.value, b.value)
	})
	if unique {
		list = slices.CompactFunc(list, func(a, b named) bool { return a.name == b.name })
	}
	size := 0
	for _, n := range list {
		size += len(n.name)
	}
	t := names{blob: make([]byte, 0, size), entries: make([]nameEntry, len(list))}
	for i, n := range list {
		t.entries[i] = nameEntry{uint32(len(t.blob)), uint32(len(n.name)), n.value}
		t.blob = append(t.blob, n.name...)
	}
	return t
}

// apart tells whether the names lie one behind the other, as newNames puts them, so that they take no more memory than
// the table.
func (t *names) apart() bool {
	at := uint64(0)
	for _, e := range t.entries {
		if uint64(e.off) != at {
			return false
		}
		at += uint64(e.size)
	}
	return at <= uint64(len(t.blob))
}

// at is the i-th name. It shares the table's memory.
func (t *names) at(i int) string {
	e := t.entries[i]
	if e.size == 0 || uint64(e.off)+uint64(e.size) > uint64(len(t.blob)) {
		return ""
	}
	return unsafe.String(&t.blob[e.off], int(e.size))
}

// first is the number of the first entry with this name or a later one.
func (t *names) first(name string) int {
	return sort.Search(len(t.entries), func(i int) bool { return t.at(i) >= name })
}

func (t *names) get(name string) (uint64, bool) {
	i := t.first(name)
	if i == len(t.entries) || t.at(i) != name {
		return 0, false
	}
	return t.entries[i].value, true
}

// all gives the values of every entry with this name.
func (t *names) all(name string) (out []uint64) {
	for i := t.first(name); i < len(t.entries) && t.at(i) == name; i++ {
		out = append(out, t.entries[i].value)
	}
	return out
}

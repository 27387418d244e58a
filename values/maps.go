package values

import (
	"fmt"
	"iter"
	"reflect"

	"ri/symbols"
	"ri/values/layout"
)

// Entry of a map.
type Entry struct{ Key, Value Value }

const (
	slotsPerGroup  = layout.SlotsPerGroup
	maxTableGroups = 1024 / slotsPerGroup // internal/runtime/maps.maxTableCapacity, in Go 1.24 to 1.27
	minTopHash     = 5                    // runtime/map.go: smaller values mark empty and evacuated cells
	evacuatedX     = 2
	evacuatedEmpty = 4
	sameSizeGrow   = 8
)

// MapLayout is where the maps of a type keep their entries.
func (s *Space) MapLayout(t *symbols.Type) (*layout.Map, error) {
	if l := s.maps[t]; l != nil {
		return l, nil
	}
	l, err := s.Layouts().Map(t)
	if err != nil {
		return nil, err
	}
	s.maps[t] = l
	return l, nil
}

func (v Value) mapLen() (int, error) {
	word, err := v.s.Uint64(v.Addr)
	if err != nil || word == 0 {
		return 0, err
	}
	l, err := v.s.MapLayout(v.Type)
	if err != nil {
		return 0, err
	}
	n, err := v.s.Field(word, l.Count)
	if err != nil {
		return 0, err
	}
	if n > MaxBytes {
		return 0, fmt.Errorf("%s at %#x claims %d entries: %w", v.Type.Name, word, n, ErrCorrupt)
	}
	return int(n), nil
}

// Entries iterates over a map in the order in which memory holds it. It ends with an error where the map's structure
// can't be; a map that was in mid-write when it was read may show an entry twice or not at all, and then ends in an
// error that says so, since the number of entries doesn't agree with its count.
func (v Value) Entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if !v.IsValid() || v.Type.Kind != reflect.Map {
			yield(Entry{}, v.Lacks("entries"))
			return
		}
		key, elem, ended := v.Type.Key(), v.Type.Elem(), false
		err := v.walkMap(func(k, e uint64) bool {
			ended = !yield(Entry{v.s.At(k, key), v.s.At(e, elem)}, nil)
			return !ended
		})
		if err != nil && !ended {
			yield(Entry{}, err)
		}
	}
}

// EntryAddresses is Entries with the addresses of keys and elements only, for walks over millions.
func (v Value) EntryAddresses(yield func(key, elem uint64) bool) error {
	if !v.IsValid() || v.Type.Kind != reflect.Map {
		return v.Lacks("entries")
	}
	return v.walkMap(yield)
}

func (v Value) walkMap(yield func(key, elem uint64) bool) error {
	word, err := v.s.Uint64(v.Addr)
	if err != nil || word == 0 {
		return err
	}
	l, err := v.s.MapLayout(v.Type)
	if err != nil {
		return err
	}
	count, err := v.mapLen()
	if err != nil {
		return err
	}
	w := &mapWalk{s: v.s, l: l, yield: yield, limit: count}
	head, err := v.s.Structure(word, &l.Structure)
	switch {
	case err != nil:
	case l.Swiss:
		err = w.swiss(head)
	default:
		err = w.buckets(head)
	}
	if w.ended {
		return nil
	}
	if err == nil && w.seen != count {
		err = fmt.Errorf("%s at %#x: %d entries found, its count says %d (read while it was being written?): %w",
			v.Type.Name, word, w.seen, count, ErrCorrupt)
	}
	return err
}

// mapWalk is one pass over a map.
type mapWalk struct {
	s     *Space
	l     *layout.Map
	yield func(key, elem uint64) bool
	seen  int
	limit int
	ended bool // the consumer has enough

	at     func(words ...Word) // told what led to each group or bucket, if somebody wants to know
	chased []Word              // the table, or the chain so far
}

// entry hands one pair on; keys and elements too large for a slot lie behind a pointer.
func (w *mapWalk) entry(key, elem uint64) error {
	w.seen++
	if w.seen > w.limit {
		return fmt.Errorf("more entries than the map's count of %d (read while it was being written?): %w", w.limit,
			ErrCorrupt)
	}
	var err error
	if w.l.IndirectKey {
		if key, err = w.s.Uint64(key); err != nil {
			return err
		}
	}
	if w.l.IndirectElem {
		if elem, err = w.s.Uint64(elem); err != nil {
			return err
		}
	}
	if !w.yield(key, elem) {
		w.ended = true
	}
	return nil
}

func (w *mapWalk) swiss(head []byte) error {
	l := w.l
	dir, n := l.Directory.Uint(head), l.Tables.Uint(head)
	if n == 0 { // small: one group, no tables
		if dir == 0 {
			return nil
		}
		return w.group(dir)
	}
	depth := l.Depth.Uint(head)
	if depth > 40 || n != 1<<depth {
		return fmt.Errorf("map directory of %d tables, depth %d: %w", n, depth, ErrCorrupt)
	}
	for i := uint64(0); i < n && !w.ended; {
		table, err := w.s.Uint64(dir + 8*i)
		if err != nil {
			return err
		}
		b, err := w.s.Structure(table, &l.Table.Structure)
		if err != nil {
			return fmt.Errorf("map table: %w", err)
		}
		if w.at != nil {
			w.chased = []Word{w.s.readWord(dir+8*i, 8), w.s.readWord(l.Table.Groups.At(table), 8),
				w.s.readWord(l.Table.Mask.At(table), 8)}
		}
		local := l.Table.Depth.Uint(b)
		groups, mask := l.Table.Groups.Uint(b), l.Table.Mask.Uint(b)
		if local > depth || mask >= maxTableGroups || mask&(mask+1) != 0 {
			return fmt.Errorf("map table at %#x: depth %d of %d, group mask %#x: %w", table, local, depth, mask, ErrCorrupt)
		}
		for g := uint64(0); g <= mask && !w.ended; g++ {
			if err := w.group(groups + g*uint64(l.Slots.Size)); err != nil {
				return err
			}
		}
		i += 1 << (depth - local) // that many directory slots share the table
	}
	return nil
}

// group walks eight slots; a control byte without its top bit marks a full one (internal/runtime/maps/group.go).
func (w *mapWalk) group(addr uint64) error {
	ctrl, err := w.s.Field(addr, w.l.Slots.Control)
	if err != nil {
		return fmt.Errorf("map group: %w", err)
	}
	if w.at != nil {
		w.at(append(w.chased[:len(w.chased):len(w.chased)], w.s.readWord(w.l.Slots.Control.At(addr), 8))...)
	}
	for i := int64(0); i < slotsPerGroup && !w.ended; i++ {
		if ctrl>>(8*i)&0x80 != 0 {
			continue
		}
		if err := w.entry(addr+uint64(w.l.Keys.Of(i)), addr+uint64(w.l.Elems.Of(i))); err != nil {
			return err
		}
	}
	return nil
}

func (w *mapWalk) buckets(head []byte) error {
	l := w.l
	b := l.Bits.Uint(head)
	if b > 40 {
		return fmt.Errorf("map of 2^%d buckets: %w", b, ErrCorrupt)
	}
	buckets, old, flags := l.Buckets.Uint(head), l.OldBuckets.Uint(head), l.Flags.Uint(head)
	if buckets == 0 {
		return nil
	}
	for i := uint64(0); i < 1<<b && !w.ended; i++ {
		if err := w.chain(buckets+i*uint64(l.Bucket.Size), false); err != nil {
			return err
		}
	}
	if old == 0 {
		return nil
	}
	// Growing: what the old array still holds has not been moved yet.
	n := uint64(1) << b
	if flags&sameSizeGrow == 0 {
		n /= 2
	}
	for i := uint64(0); i < n && !w.ended; i++ {
		if err := w.chain(old+i*uint64(l.Bucket.Size), true); err != nil {
			return err
		}
	}
	return nil
}

// chain walks a bucket and its overflow buckets.
func (w *mapWalk) chain(addr uint64, old bool) error {
	l := w.l
	w.chased = nil
	for n := 0; addr != 0 && !w.ended; n++ {
		if n > w.limit/2+16 {
			return fmt.Errorf("map bucket chain of more than %d buckets: %w", n, ErrCorrupt)
		}
		b, err := w.s.Structure(addr, &l.Bucket.Structure)
		if err != nil {
			return fmt.Errorf("map bucket: %w", err)
		}
		top := [slotsPerGroup]byte(b[l.Bucket.Tops.Offset:])
		next := l.Bucket.Overflow.Uint(b)
		if w.at != nil {
			w.at(append(w.chased[:len(w.chased):len(w.chased)], w.s.readWord(l.Bucket.Tops.At(addr), slotsPerGroup))...)
			w.chased = append(w.chased, w.s.readWord(l.Bucket.Overflow.At(addr), 8))
		}
		if old && top[0] >= evacuatedX && top[0] <= evacuatedEmpty {
			return nil // moved already, with its whole chain
		}
		for i := int64(0); i < slotsPerGroup && !w.ended; i++ {
			if top[i] < minTopHash {
				continue
			}
			if err := w.entry(addr+uint64(l.Keys.Of(i)), addr+uint64(l.Elems.Of(i))); err != nil {
				return err
			}
		}
		addr = next
	}
	return nil
}

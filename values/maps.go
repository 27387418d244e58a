package values

import (
	"encoding/binary"
	"fmt"
	"iter"
	"reflect"

	"ri/symbols"
)

// Entry of a map.
type Entry struct{ Key, Value Value }

// maxIndirectKey is the size beyond which the runtime keeps a map's key or element behind a pointer
// (abi.MapMaxKeyBytes, abi.MapMaxElemBytes and their forebears), in bytes.
const maxIndirectKey = 128

// mapLayout is where a map type keeps its entries. Swiss maps came with Go 1.24 (internal/runtime/maps), bucket
// maps were before (runtime.hmap); which it is, is told by the fields that the program's own type has.
type mapLayout struct {
	swiss     bool
	headSize  int64
	count     int64 // offset in the header
	key, elem *symbols.Type
	indirectK bool
	indirectE bool
	// Where a group or bucket has its keys and its elements: one behind the other, or in pairs.
	keys, elems places

	// Swiss: header, table, group.
	dirPtr, dirLen, globalDepth         int64
	tableSize, localDepth, groups, mask int64
	groupSize, ctrl                     int64
	// Buckets: header, bucket.
	b, buckets, oldBuckets, flags int64
	bucketSize, tophash, overflow int64
}

// places are those of a group's or bucket's keys, or of its elements: where the first is, how far it is to the next, how long each is.
type places struct{ first, stride, size int64 }

// of is where the i-th is.
func (p places) of(i int64) int64 { return p.first + i*p.stride }

// holding tells which of them an offset lies in, and how far in.
func (p places) holding(off int64) (i, rest int64, ok bool) {
	if off < p.first || p.stride <= 0 {
		return 0, 0, false
	}
	i, rest = (off-p.first)/p.stride, (off-p.first)%p.stride
	return i, rest, i < slotsPerGroup && rest < p.size
}

// arrayPlaces are those of a field that is an array of them.
func arrayPlaces(t *symbols.Type, field string) (places, error) {
	p, err := t.FieldByName(field)
	if err != nil {
		return places{}, err
	}
	each := p.Field.Type.Elem()
	if each == nil || p.Field.Type.Len() != slotsPerGroup {
		return places{}, fmt.Errorf("%s.%s is a %s: %w", t.Name, field, p.Field.Type.Name, ErrKind)
	}
	return places{p.Offset, each.Size, each.Size}, nil
}

const (
	slotsPerGroup  = 8                    // abi.MapGroupSlots, and abi.OldMapBucketCount
	maxTableGroups = 1024 / slotsPerGroup // internal/runtime/maps.maxTableCapacity, in Go 1.24 to 1.27
	minTopHash     = 5                    // runtime/map.go: smaller values mark empty and evacuated cells
	evacuatedX     = 2
	evacuatedEmpty = 4
	sameSizeGrow   = 8
)

// offsets looks fields up by name.
func offsets(t *symbols.Type, fields map[string]*int64) error {
	for name, at := range fields {
		p, err := t.FieldByName(name)
		if err != nil {
			return err
		}
		*at = p.Offset
	}
	return nil
}

func (s *Space) mapLayout(t *symbols.Type) (*mapLayout, error) {
	if l := s.maps[t]; l != nil {
		return l, nil
	}
	l := &mapLayout{key: t.Key(), elem: t.Elem()}
	repr := t.Repr()
	if l.key == nil || l.elem == nil || repr == nil || repr.Elem() == nil {
		return nil, fmt.Errorf("%s: the runtime's structure is not described: %w", t.Name, ErrKind)
	}
	head := repr.Elem()
	l.headSize = head.Size
	l.indirectK, l.indirectE = l.key.Size > maxIndirectKey, l.elem.Size > maxIndirectKey
	var err error
	if _, missing := head.FieldByName("dirPtr"); missing == nil {
		l.swiss = true
		err = l.swissLayout(head)
	} else {
		err = l.bucketLayout(head)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: layout of the runtime's map: %w", t.Name, err)
	}
	s.maps[t] = l
	return l, nil
}

func (l *mapLayout) swissLayout(head *symbols.Type) error {
	if err := offsets(head, map[string]*int64{"used": &l.count, "dirPtr": &l.dirPtr, "dirLen": &l.dirLen, "globalDepth": &l.globalDepth}); err != nil {
		return err
	}
	dir, _ := head.FieldByName("dirPtr")
	table := dir.Field.Type.Elem()
	if table == nil || table.Elem() == nil {
		return fmt.Errorf("dirPtr is a %s: %w", dir.Field.Type.Name, ErrKind)
	}
	table = table.Elem()
	l.tableSize = table.Size
	var groups int64
	if err := offsets(table, map[string]*int64{"localDepth": &l.localDepth, "groups": &groups}); err != nil {
		return err
	}
	ref, _ := table.FieldByName("groups")
	var data, mask int64
	if err := offsets(ref.Field.Type, map[string]*int64{"data": &data, "lengthMask": &mask}); err != nil {
		return err
	}
	l.groups, l.mask = groups+data, groups+mask
	dataField, _ := ref.Field.Type.FieldByName("data")
	group := dataField.Field.Type.Elem()
	if group == nil {
		return fmt.Errorf("groups.data is a %s: %w", dataField.Field.Type.Name, ErrKind)
	}
	l.groupSize = group.Size
	if err := offsets(group, map[string]*int64{"ctrl": &l.ctrl}); err != nil {
		return err
	}
	slots, err := arrayPlaces(group, "slots")
	if err != nil { // GOEXPERIMENT=mapsplitgroup, Go 1.27
		if l.keys, err = arrayPlaces(group, "keys"); err == nil {
			l.elems, err = arrayPlaces(group, "elems")
		}
		return err
	}
	field, _ := group.FieldByName("slots")
	slot := field.Field.Type.Elem()
	l.keys, l.elems = slots, slots
	for name, in := range map[string]*places{"key": &l.keys, "elem": &l.elems} {
		p, err := slot.FieldByName(name)
		if err != nil {
			return err
		}
		in.first, in.size = slots.first+p.Offset, p.Field.Type.Size
	}
	return nil
}

func (l *mapLayout) bucketLayout(head *symbols.Type) error {
	if err := offsets(head, map[string]*int64{"count": &l.count, "B": &l.b, "buckets": &l.buckets, "oldbuckets": &l.oldBuckets, "flags": &l.flags}); err != nil {
		return err
	}
	field, _ := head.FieldByName("buckets")
	bucket := field.Field.Type.Elem()
	if bucket == nil {
		return fmt.Errorf("buckets is a %s: %w", field.Field.Type.Name, ErrKind)
	}
	l.bucketSize = bucket.Size
	if err := offsets(bucket, map[string]*int64{"tophash": &l.tophash, "overflow": &l.overflow}); err != nil {
		return err
	}
	var err error
	if l.keys, err = arrayPlaces(bucket, "keys"); err == nil {
		l.elems, err = arrayPlaces(bucket, "values")
	}
	return err
}

func (v Value) mapLen() (int, error) {
	word, err := v.s.Uint64(v.Addr)
	if err != nil || word == 0 {
		return 0, err
	}
	l, err := v.s.mapLayout(v.Type)
	if err != nil {
		return 0, err
	}
	n, err := v.s.Uint64(word + uint64(l.count))
	if err != nil {
		return 0, err
	}
	if n > maxBytes {
		return 0, fmt.Errorf("%s at %#x claims %d entries: %w", v.Type.Name, word, n, ErrCorrupt)
	}
	return int(n), nil
}

// Entries iterates over a map in the order in which memory holds it. It ends with an error where the
// map's structure can't be; a map that was in mid-write when it was read may show an entry twice or not at all, and then ends in an
// error that says so, since the number of entries doesn't agree with its count.
func (v Value) Entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if !v.IsValid() || v.Type.Kind != reflect.Map {
			yield(Entry{}, v.wrong("entries"))
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
		return v.wrong("entries")
	}
	return v.walkMap(yield)
}

func (v Value) walkMap(yield func(key, elem uint64) bool) error {
	word, err := v.s.Uint64(v.Addr)
	if err != nil || word == 0 {
		return err
	}
	l, err := v.s.mapLayout(v.Type)
	if err != nil {
		return err
	}
	count, err := v.mapLen()
	if err != nil {
		return err
	}
	w := &mapWalk{s: v.s, l: l, yield: yield, limit: count}
	head, err := v.s.Slice(word, int(l.headSize))
	switch {
	case err != nil:
	case l.swiss:
		err = w.swiss(head)
	default:
		err = w.buckets(head)
	}
	if w.ended {
		return nil
	}
	if err == nil && w.seen != count {
		err = fmt.Errorf("%s at %#x: %d entries found, its count says %d (read while it was being written?): %w", v.Type.Name, word, w.seen, count, ErrCorrupt)
	}
	return err
}

// mapWalk is one pass over a map.
type mapWalk struct {
	s     *Space
	l     *mapLayout
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
		return fmt.Errorf("more entries than the map's count of %d (read while it was being written?): %w", w.limit, ErrCorrupt)
	}
	var err error
	if w.l.indirectK {
		if key, err = w.s.Uint64(key); err != nil {
			return err
		}
	}
	if w.l.indirectE {
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
	dir := binary.LittleEndian.Uint64(head[l.dirPtr:])
	n := binary.LittleEndian.Uint64(head[l.dirLen:])
	if n == 0 { // small: one group, no tables
		if dir == 0 {
			return nil
		}
		return w.group(dir)
	}
	depth := head[l.globalDepth]
	if depth > 40 || n != 1<<depth {
		return fmt.Errorf("map directory of %d tables, depth %d: %w", n, depth, ErrCorrupt)
	}
	for i := uint64(0); i < n && !w.ended; {
		table, err := w.s.Uint64(dir + 8*i)
		if err != nil {
			return err
		}
		b, err := w.s.Slice(table, int(l.tableSize))
		if err != nil {
			return fmt.Errorf("map table: %w", err)
		}
		if w.at != nil {
			w.chased = []Word{w.s.readWord(dir+8*i, 8), w.s.readWord(table+uint64(l.groups), 8), w.s.readWord(table+uint64(l.mask), 8)}
		}
		local := b[l.localDepth]
		groups, mask := binary.LittleEndian.Uint64(b[l.groups:]), binary.LittleEndian.Uint64(b[l.mask:])
		if local > depth || mask >= maxTableGroups || mask&(mask+1) != 0 {
			return fmt.Errorf("map table at %#x: depth %d of %d, group mask %#x: %w", table, local, depth, mask, ErrCorrupt)
		}
		for g := uint64(0); g <= mask && !w.ended; g++ {
			if err := w.group(groups + g*uint64(l.groupSize)); err != nil {
				return err
			}
		}
		i += 1 << (depth - local) // that many directory slots share the table
	}
	return nil
}

// group walks eight slots; a control byte without its top bit marks a full one (internal/runtime/maps/group.go).
func (w *mapWalk) group(addr uint64) error {
	ctrl, err := w.s.Uint64(addr + uint64(w.l.ctrl))
	if err != nil {
		return fmt.Errorf("map group: %w", err)
	}
	if w.at != nil {
		w.at(append(w.chased[:len(w.chased):len(w.chased)], w.s.readWord(addr+uint64(w.l.ctrl), 8))...)
	}
	for i := int64(0); i < slotsPerGroup && !w.ended; i++ {
		if ctrl>>(8*i)&0x80 != 0 {
			continue
		}
		if err := w.entry(addr+uint64(w.l.keys.of(i)), addr+uint64(w.l.elems.of(i))); err != nil {
			return err
		}
	}
	return nil
}

func (w *mapWalk) buckets(head []byte) error {
	l := w.l
	b := head[l.b]
	if b > 40 {
		return fmt.Errorf("map of 2^%d buckets: %w", b, ErrCorrupt)
	}
	word := func(off int64) uint64 { return binary.LittleEndian.Uint64(head[off:]) }
	buckets, old, flags := word(l.buckets), word(l.oldBuckets), head[l.flags]
	if buckets == 0 {
		return nil
	}
	for i := uint64(0); i < 1<<b && !w.ended; i++ {
		if err := w.chain(buckets+i*uint64(l.bucketSize), false); err != nil {
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
		if err := w.chain(old+i*uint64(l.bucketSize), true); err != nil {
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
		b, err := w.s.Slice(addr, int(l.bucketSize))
		if err != nil {
			return fmt.Errorf("map bucket: %w", err)
		}
		top := [slotsPerGroup]byte(b[l.tophash:])
		next := binary.LittleEndian.Uint64(b[l.overflow:])
		if w.at != nil {
			w.at(append(w.chased[:len(w.chased):len(w.chased)], w.s.readWord(addr+uint64(l.tophash), slotsPerGroup))...)
			w.chased = append(w.chased, w.s.readWord(addr+uint64(l.overflow), 8))
		}
		if old && top[0] >= evacuatedX && top[0] <= evacuatedEmpty {
			return nil // moved already, with its whole chain
		}
		for i := int64(0); i < slotsPerGroup && !w.ended; i++ {
			if top[i] < minTopHash {
				continue
			}
			if err := w.entry(addr+uint64(l.keys.of(i)), addr+uint64(l.elems.of(i))); err != nil {
				return err
			}
		}
		addr = next
	}
	return nil
}

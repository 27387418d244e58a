package values

import (
	"encoding/binary"
	"reflect"

	"ri/values/layout"
)

// Word is a piece of target memory that a path went through: a pointer, a part of a map's structure, a key.
type Word struct {
	Addr  uint64
	Bytes []byte // as they were, at most 16
	Frame bool   // of a goroutine's state: when it has run, what hangs off its frames has to be looked for again
}

// Trace says how an expression led to a place. As long as all its words are the same, the place is what the expression
// means.
type Trace struct {
	Words []Word
	// ByAddress: the way begins at an address that no word of the program was seen to hold, so the words alone don't
	// prove that what was there still is.
	ByAddress bool
	Literal   bool // that address was typed by a person
	// Box: the place lies in the box of an interface, which is shared and immutable. Queue: in a channel's buffer.
	// Text: in a string's bytes.
	Box, Queue, Text bool
}

// Traced does f and tells where it went.
func (s *Space) Traced(f func() error) (*Trace, error) {
	t := &Trace{}
	s.trace = t
	defer func() { s.trace = nil }()
	return t, f()
}

// NoteLiteral notes that the way goes on from an address that a person typed.
func (s *Space) NoteLiteral() {
	if s.trace != nil {
		s.trace.ByAddress, s.trace.Literal = true, true
	}
}

// Note remembers what a path went through.
func (s *Space) Note(addr uint64, n int) {
	if s.trace == nil || IsLocal(addr) {
		return
	}
	if b, err := s.Slice(addr, n); err == nil {
		s.trace.Words = append(s.trace.Words, Word{Addr: addr, Bytes: append([]byte(nil), b...)})
	}
}

// through notes that a pointer at addr was followed: what comes is no box, no queue and no text any more.
func (s *Space) through(addr uint64) {
	if s.trace != nil {
		s.trace.Box, s.trace.Queue, s.trace.Text = false, false, false
		if IsLocal(addr) {
			return
		}
		s.Note(addr, 8)
	}
}

// Untraced does f without noting where it goes.
func (s *Space) Untraced(f func()) {
	t := s.trace
	s.trace = nil
	defer func() { s.trace = t }()
	f()
}

// NoteFound notes how Find came to a value: by pointers from a package variable, or from the frame of a goroutine that
// is parked: it is where it was as long as its number, PC and SP are the same. Else the address is all there is.
func (s *Space) NoteFound(f Found) {
	t := s.trace
	if t == nil {
		return
	}
	var words []Word
	for l := f.via; l != nil; l = l.parent {
		if IsLocal(l.slot) {
			t.ByAddress = true
			return
		}
		words = append(words, Word{Addr: l.slot, Bytes: binary.LittleEndian.AppendUint64(nil, l.word)})
	}
	if f.Goroutine == 0 {
		t.Words = append(t.Words, words...)
		return
	}
	s.Untraced(func() {
		for g, err := range s.Goroutines() {
			if err != nil || g == nil || g.ID != f.Goroutine {
				continue
			}
			l := s.gs
			if g.status != statusWaiting || len(words) == 0 {
				break
			}
			for _, f := range []layout.Field{l.ID, l.SP, l.PC} {
				if b, err := s.Slice(f.At(g.Addr), 8); err == nil {
					words = append(words, Word{f.At(g.Addr), append([]byte(nil), b...), true})
				}
			}
			t.Words = append(t.Words, words...)
			return
		}
		t.ByAddress = true
	})
}

// noteEntry notes where a map holds an entry: as long as these are the same, key has this element. Swiss maps: the
// directory and the table, the group's control word, the key. Buckets: the arrays, the chain that leads to the bucket,
// its tops, the key.
func (v Value) noteEntry(e Entry) {
	s := v.s
	if s.trace == nil {
		return
	}
	t := s.trace
	t.Box, t.Queue, t.Text = false, false, false
	s.Note(v.Addr, 8)
	word, err := s.Uint64(v.Addr)
	if err != nil {
		return
	}
	l, err := s.MapLayout(v.Type)
	if err != nil {
		return
	}
	if l.Swiss {
		s.Note(l.Directory.At(word), 8)
		s.Note(l.Tables.At(word), 8)
	} else {
		s.Note(l.Buckets.At(word), 8)
		s.Note(l.OldBuckets.At(word), 8)
	}
	where := &entryPlace{want: e.Value.Addr, wantKey: e.Key.Addr}
	s.Untraced(func() { v.whereIs(l, where) })
	t.Words = append(t.Words, where.words...)
	t.ByAddress = t.ByAddress || l.IndirectElem // a word more, which the walk doesn't show
	for at := int64(0); at < e.Key.Type.Size; at += 16 {
		s.Note(e.Key.Addr+uint64(at), int(min(16, e.Key.Type.Size-at)))
	}
}

// entryPlace collects the words between a map's header and an entry.
type entryPlace struct {
	want, wantKey uint64
	words         []Word
}

func (v Value) whereIs(l *layout.Map, place *entryPlace) {
	s := v.s
	w := &mapWalk{s: s, l: l, limit: 1 << 40}
	var last []Word
	w.at = func(words ...Word) { last = words }
	w.yield = func(k, e uint64) bool {
		if e == place.want && k == place.wantKey {
			place.words = append([]Word(nil), last...)
			return false
		}
		return true
	}
	word, err := s.Uint64(v.Addr)
	if err != nil {
		return
	}
	head, err := s.Structure(word, &l.Structure)
	if err != nil {
		return
	}
	if l.Swiss {
		_ = w.swiss(head) // it was walked before: what is wrong with it has been said
	} else {
		_ = w.buckets(head)
	}
}

// readWord copies bytes for a trace.
func (s *Space) readWord(addr uint64, n int) Word {
	b, err := s.Slice(addr, n)
	if err != nil {
		return Word{Addr: addr}
	}
	return Word{Addr: addr, Bytes: append([]byte(nil), b...)}
}

// Capacity gives a slice's first element's address, its length and capacity.
func (v Value) Capacity() (data uint64, length, capacity int64, err error) {
	if !v.IsValid() || v.Type.Kind != reflect.Slice {
		return 0, 0, 0, v.Lacks("capacity")
	}
	return v.sliceHeader()
}

// TextData gives where a string's bytes are, and how many.
func (v Value) TextData() (data uint64, length int64, err error) {
	if !v.IsValid() || v.Type.Kind != reflect.String {
		return 0, 0, v.Lacks("text")
	}
	data, length, _, err = v.sliceHeader()
	return data, length, err
}

// Collector tells whether the garbage collector is idle (phase off and the write barrier clear), and how many
// collections have begun.
func (s *Space) Collector() (idle bool, begun uint64, err error) {
	l := &s.Layouts().Collector
	if err := l.Err(); err != nil {
		return false, 0, err
	}
	phase, err := s.At(l.Phase.Addr+s.bias, l.Phase.Type).Uint()
	if err != nil {
		return false, 0, err
	}
	barrier, err := s.Field(l.Barrier.Addr+s.bias, l.Enabled)
	if err != nil {
		return false, 0, err
	}
	begun, err = s.Field(l.Work.Addr+s.bias, l.Cycles)
	return phase == 0 && barrier == 0, begun, err
}

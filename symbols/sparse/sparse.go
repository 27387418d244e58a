// Package sparse holds the bytes of a section, or of a program's memory, of which only some ranges may be there. It can
// note which of them were read, and writes and reads just those.
//
// What may not come in: what the bytes mean.
package sparse

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"sort"
	"sync"
)

// Range is a range of offsets, the end excluded.
type Range struct{ Start, End uint64 }

// Bytes are bytes by offset: all of them, or pieces. The zero Bytes has none. A Bytes may be copied; it is safe for
// concurrent use.
type Bytes struct {
	pieces []piece // in order; none touches the next
	notes  *Notes
}

type piece struct {
	start uint64
	data  []byte
}

func (p *piece) end() uint64 { return p.start + uint64(len(p.data)) }

// Whole are bytes from offset 0 on, without a hole.
func Whole(data []byte) Bytes { return Bytes{pieces: []piece{{0, data}}} }

// Window gives the piece that has an offset, whole, and the offset of its first byte. It is nil in a hole and past the
// end. Whoever reads of it says so by Note.
func (b *Bytes) Window(off uint64) (data []byte, base uint64) {
	i := 0
	if len(b.pieces) != 1 {
		i = sort.Search(len(b.pieces), func(i int) bool { return b.pieces[i].end() > off })
	}
	if i == len(b.pieces) || off < b.pieces[i].start || off >= b.pieces[i].end() {
		return nil, off
	}
	return b.pieces[i].data, b.pieces[i].start
}

// From gives what lies at an offset and behind it, up to the next hole.
func (b *Bytes) From(off uint64) []byte {
	data, base := b.Window(off)
	return data[off-base:]
}

// Copy fills p with what lies at an offset, and notes it; false if one of these bytes isn't there.
func (b *Bytes) Copy(p []byte, off uint64) bool {
	data := b.From(off)
	if len(data) < len(p) {
		return false
	}
	copy(p, data)
	b.Note(off, off+uint64(len(p)))
	return true
}

// Whole tells whether all bytes are there, and gives them.
func (b *Bytes) Whole() (data []byte, ok bool) {
	if len(b.pieces) == 1 && b.pieces[0].start == 0 {
		return b.pieces[0].data, true
	}
	return nil, len(b.pieces) == 0
}

// Ranges are those that are there, in order.
func (b *Bytes) Ranges() []Range {
	all := make([]Range, len(b.pieces))
	for i := range b.pieces {
		all[i] = Range{b.pieces[i].start, b.pieces[i].end()}
	}
	return all
}

// End is the offset past the last byte.
func (b *Bytes) End() uint64 {
	if len(b.pieces) == 0 {
		return 0
	}
	return b.pieces[len(b.pieces)-1].end()
}

// Noting are the same bytes, whose notes say what was read of them since.
func (b Bytes) Noting() Bytes {
	b.notes = &Notes{}
	return b
}

// Note notes that the bytes from start to end were read, if these are noting.
func (b *Bytes) Note(start, end uint64) {
	if b.notes != nil {
		b.notes.Add(start, end)
	}
}

// Noted are the ranges that were read; nil where these bytes don't note.
func (b *Bytes) Noted() []Range {
	if b.notes == nil {
		return nil
	}
	return b.notes.Ranges()
}

// Slice gives the bytes of a range, nil if they aren't all there.
func (b *Bytes) Slice(r Range) []byte {
	if data := b.From(r.Start); r.End >= r.Start && r.End-r.Start <= uint64(len(data)) {
		return data[:r.End-r.Start]
	}
	return nil
}

// Notes are ranges as they come. The zero Notes is ready for use, by several at once.
type Notes struct {
	mu   sync.Mutex
	ends map[uint64]uint64 // by start
}

// Add adds a range.
func (n *Notes) Add(start, end uint64) {
	if end <= start {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ends == nil {
		n.ends = map[uint64]uint64{}
	}
	n.ends[start] = max(n.ends[start], end)
}

// Ranges are all that was added, in order; those that touch are one.
func (n *Notes) Ranges() []Range {
	n.mu.Lock()
	all := make([]Range, 0, len(n.ends))
	for start, end := range n.ends {
		all = append(all, Range{start, end})
	}
	n.mu.Unlock()
	return Merge(all)
}

// Merge puts ranges in order and makes one of those that overlap or touch. It changes the slice.
func Merge(all []Range) []Range {
	slices.SortFunc(all, func(a, b Range) int {
		if a.Start < b.Start {
			return -1
		}
		return 1
	})
	out := all[:0]
	for _, r := range all {
		if last := len(out) - 1; last >= 0 && r.Start <= out[last].End {
			out[last].End = max(out[last].End, r.End)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// Without takes ranges away from others. Both must be in order, as Merge gives them.
func Without(all, away []Range) (out []Range) {
	for _, r := range all {
		for len(away) > 0 && away[0].End <= r.Start {
			away = away[1:]
		}
		for i := 0; i < len(away) && away[i].Start < r.End; i++ {
			if away[i].Start > r.Start {
				out = append(out, Range{r.Start, away[i].Start})
			}
			r.Start = max(r.Start, away[i].End)
		}
		if r.Start < r.End {
			out = append(out, r)
		}
	}
	return out
}

// Union has the bytes of both; where both have one, it is that of a.
func Union(a, b *Bytes) (out Bytes) {
	all := slices.Clone(a.pieces)
	for _, r := range Without(b.Ranges(), a.Ranges()) {
		all = append(all, piece{r.Start, b.Slice(r)})
	}
	slices.SortFunc(all, func(x, y piece) int { return cmp.Compare(x.start, y.start) })
	for i := 0; i < len(all); {
		one := all[i]
		one.data = slices.Clip(one.data)                          // what is appended is no view of anything
		for i++; i < len(all) && all[i].start == one.end(); i++ { // no two touch
			one.data = append(one.data, all[i].data...)
		}
		out.pieces = append(out.pieces, one)
	}
	return out
}

// Encode writes ranges, which must be in order and apart, with the bytes that read gives. Ranges that it gives nothing
// for are left out. The form: their number; for each how far it begins behind the end of the one before it, and its
// length; then the bytes. Numbers are varints (encoding/binary).
func Encode(ranges []Range, read func(Range) []byte) []byte {
	var head, body []byte
	n, at := uint64(0), uint64(0)
	for _, r := range ranges {
		data := read(r)
		if len(data) == 0 {
			continue
		}
		head = binary.AppendUvarint(binary.AppendUvarint(head, r.Start-at), uint64(len(data)))
		body = append(body, data...)
		at = r.Start + uint64(len(data))
		n++
	}
	if n == 0 {
		return nil
	}
	return append(append(binary.AppendUvarint(nil, n), head...), body...)
}

// ErrMalformed is what Decode says of what no Encode wrote.
var ErrMalformed = errors.New("malformed ranges")

// Decode reads what Encode wrote; the bytes are views of data. Nothing written makes no bytes.
func Decode(data []byte) (Bytes, error) {
	if len(data) == 0 {
		return Bytes{}, nil
	}
	n, width := binary.Uvarint(data)
	if width <= 0 || n > uint64(len(data))/2 {
		return Bytes{}, ErrMalformed
	}
	data = data[width:]
	pieces := make([]piece, n)
	lengths := make([]uint64, n)
	at, total := uint64(0), uint64(0)
	for i := range pieces {
		gap, g := binary.Uvarint(data)
		if g <= 0 {
			return Bytes{}, ErrMalformed
		}
		length, l := binary.Uvarint(data[g:])
		if l <= 0 || length == 0 || length > uint64(len(data)) || gap > 1<<63 || (gap == 0 && i > 0) {
			return Bytes{}, ErrMalformed
		}
		data = data[g+l:]
		start := at + gap
		if at = start + length; start < gap || at < start {
			return Bytes{}, ErrMalformed
		}
		pieces[i].start, lengths[i] = start, length
		if total += length; total > 1<<62 {
			return Bytes{}, ErrMalformed
		}
	}
	if total != uint64(len(data)) {
		return Bytes{}, ErrMalformed
	}
	for i := range pieces {
		pieces[i].data, data = data[:lengths[i]:lengths[i]], data[lengths[i]:]
	}
	return Bytes{pieces: pieces}, nil
}

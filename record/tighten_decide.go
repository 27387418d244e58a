package record

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"slices"

	"ri/attach"
	"ri/attach/recorded"
	"ri/record/format"
	"ri/record/redact"
)

// decide goes through all that was looked at at a look, by address.
func (t *tightener) decide(look int) error {
	var things []thing
	for i := range t.typed {
		if t.typed[i].Look == look {
			for _, addr := range t.typed[i].At {
				things = append(things, thing{addr, int32(i)})
			}
		}
	}
	return t.decideThings(things, t.r.Memory(look))
}

// decideThings decides about things in a memory, and adds the edits.
func (t *tightener) decideThings(things []thing, memory recorded.Memory) error {
	slices.SortFunc(things, func(a, b thing) int { return cmp.Compare(a.addr, b.addr) })
	d := &decision{tightener: t, memory: memory}
	for _, one := range things {
		l := t.layouts[one.typ]
		if l == nil {
			d.deny(one.addr, uint64(t.typed[one.typ].Size))
			continue
		}
		left := maxFields
		d.pieces(l, one.addr, &left)
		if d.err != nil {
			return d.err
		}
	}
	d.confirmed = sorted(d.confirmed)
	for _, k := range t.kept { // what nothing says to keep any more
		for _, place := range k.Places {
			if !k.Constant && !holds(d.confirmed, place[0], int(place[1])) {
				d.deny(place[0], place[1])
			}
		}
	}
	d.denied = sorted(d.denied)
	slices.SortStableFunc(d.set, func(a, b format.Memory) int { return cmp.Compare(a.Addr, b.Addr) })
	t.edits = append(t.edits, d.edits)
	return nil
}

// decision is what becomes of one look.
type decision struct {
	*tightener
	edits
	memory    recorded.Memory
	confirmed []extent // texts that are still kept by a rule
	err       error
}

func (d *decision) deny(addr, n uint64) {
	if n > 0 && n < 1<<40 && addr+n > addr {
		d.denied = gather(d.denied, extent{addr, int(n)})
	}
}

// read gives bytes of the recording, nil if they aren't all there.
func (d *decision) read(addr uint64, n int) []byte {
	if b := d.memory.Direct(addr, n); b != nil {
		return b
	}
	b := make([]byte, n)
	if _, err := d.memory.ReadMemory(b, addr); err != nil {
		if !errors.Is(err, attach.ErrNotRecorded) {
			d.err = err
		}
		return nil
	}
	return b
}

func (d *decision) pieces(l *redact.Layout, addr uint64, left *int) {
	for i := range l.Pieces {
		piece := &l.Pieces[i]
		at := addr + uint64(piece.Offset)
		if *left--; *left < 0 { // of a type that nobody has
			d.deny(addr, uint64(l.Type.Size))
			return
		}
		if piece.Elem != nil {
			for k := range piece.Count {
				d.pieces(piece.Elem, at+uint64(k*piece.Size), left)
			}
			continue
		}
		d.piece(l, piece, at)
	}
}

func (d *decision) piece(l *redact.Layout, piece *redact.Piece, at uint64) {
	switch piece.Form {
	case redact.Plain:
		if piece.Action != redact.Keep {
			d.deny(at, uint64(piece.Size))
		}
	case redact.Slice:
		if b := d.read(at, 24); b != nil && piece.Action != redact.Keep {
			d.deny(word(b, 0), word(b, 16)*uint64(max(piece.Unit, 1)))
		}
	case redact.Contents:
		d.contents(piece, at)
	case redact.Text, redact.Bytes:
		d.text(l, piece, at)
	}
}

// contents are a byte array's.
func (d *decision) contents(piece *redact.Piece, at uint64) {
	switch token := d.memory.IsToken(at); {
	case piece.Action == redact.Keep, piece.Action == redact.Token && token:
	case piece.Action == redact.Drop || piece.Size > maxInPlace:
		d.deny(at, uint64(piece.Size))
	default:
		if b := d.read(at, int(piece.Size)); b != nil {
			d.set = append(d.set, format.Memory{Addr: at, Size: len(b), Kind: format.Tokens, Data: d.standIn(b, piece.Action)})
		}
	}
}

func (t *tightener) standIn(text []byte, action redact.Action) []byte {
	if action == redact.Mask {
		return bytes.Repeat([]byte{'*'}, len(text))
	}
	return t.tokens.Of(text)
}

// text decides about a header, and what it leads to.
func (d *decision) text(l *redact.Layout, piece *redact.Piece, at uint64) {
	b := d.read(at, 16)
	if b == nil {
		return
	}
	addr, n := word(b, 0), word(b, 8)
	if n == 0 || addr == 0 || n > maxText {
		return
	}
	if d.memory.IsToken(addr) {
		if piece.Action <= redact.Token {
			d.used[addr] = max(d.used[addr], int(n))
			return
		}
	} else {
		if !holds(d.places, addr, int(n)) {
			return // it isn't there
		}
		common := holds(d.common, addr, int(n))
		if piece.Action == redact.Keep || piece.Action == redact.Token && common && !piece.Secret {
			if !common {
				d.keep(l, piece, addr, n)
				d.confirmed = gather(d.confirmed, extent{addr, int(n)})
			}
			return
		}
		d.deny(addr, n)
	}
	if content := d.read(addr, int(n)); content != nil {
		d.lead(piece, at, content)
	}
}

// keep notes a text that is still kept, and why.
func (t *tightener) keep(l *redact.Layout, piece *redact.Piece, addr, n uint64) {
	field := l.Type.Name
	if piece.Field != "" {
		field += "." + piece.Field
	}
	k := t.keptAs[field]
	if k == nil {
		k = &keptPlaces{}
		t.keptAs[field] = k
	}
	k.fresh = append(k.fresh, [2]uint64{addr, n})
}

// lead has a header lead to what stands for a text now: a token, asterisks, or nothing that can be read.
func (d *decision) lead(piece *redact.Piece, at uint64, content []byte) {
	key := digest(content, piece.Action)
	to, ok := d.stand[key]
	if !ok {
		run := format.Memory{Addr: d.next, Size: len(content), Kind: format.Denied}
		if piece.Action != redact.Drop {
			run.Kind, run.Data = format.Tokens, d.standIn(content, piece.Action)
		}
		to, d.stand[key] = d.next, d.next
		d.fresh = append(d.fresh, run)
		d.next += uint64(len(content)+15) &^ 15
	}
	d.set = append(d.set, format.Memory{Addr: at, Size: 8, Data: little(to)})
	if piece.Form == redact.Bytes {
		d.set = append(d.set, format.Memory{Addr: at + 16, Size: 8, Data: little(uint64(len(content)))})
	}
}

// digest tells texts apart, and what is done with them.
func digest(content []byte, action redact.Action) [16]byte {
	h := sha256.New()
	h.Write([]byte{byte(action)})
	h.Write(content)
	return [16]byte(h.Sum(nil)[:16])
}

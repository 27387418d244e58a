package record

import (
	"encoding/json"
	"fmt"
	"slices"

	"ri/attach/recorded"
	"ri/record/format"
)

// trace writes what was traced: of the conditions those that the policy keeps.
func (t *tightener) trace(text []byte) error {
	about := &recorded.Trace{}
	if err := json.Unmarshal(text, about); err != nil {
		return fmt.Errorf("what it says of the trace: %v: %w", err, format.ErrMalformed)
	}
	return t.json(format.TraceBlock, redacted(about, t.policy))
}

// decideHits finds out which constants that hits lead to aren't kept any more: earlier blocks have them.
func (t *tightener) decideHits() error {
	t.constants = recorded.NewConstants()
	for _, b := range t.file.Blocks() {
		if b.Name != format.HitsBlock {
			continue
		}
		data, err := t.file.Read(b)
		if err != nil {
			return err
		}
		if _, err := t.hitsAgain(data); err != nil {
			return err
		}
	}
	t.taken, t.constants = sorted(t.taken), recorded.NewConstants()
	return nil
}

// hits writes a block of hits, of which less is kept.
func (t *tightener) hits(block []byte) error {
	of, err := t.hitsAgain(block)
	if err != nil {
		return err
	}
	parts, err := format.ReadParts(block)
	if err != nil {
		return err
	}
	var out []byte
	add := func(kind format.PartKind, name string, list []format.Memory) {
		if len(list) > 0 {
			t.counted(name, list)
			out = format.AppendPart(out, kind, format.AppendMemory(nil, list))
		}
	}
	for _, run := range of.fresh {
		add(format.Replaced, format.TokenBlock, []format.Memory{run})
	}
	e := edits{denied: t.taken}
	side := -1
	for _, p := range parts {
		switch p.Kind {
		case format.Constants, format.Replaced, format.AtEntry, format.AtReturn:
			runs, err := format.ReadMemory(p.Data)
			if err != nil {
				return err
			}
			switch p.Kind {
			case format.Constants:
				var left []format.Memory
				for _, run := range runs {
					left = append(left, e.apply(run)...)
				}
				add(p.Kind, format.MemoryBlock(1), joined(left))
			case format.Replaced:
				add(p.Kind, format.TokenBlock, of.stillUsed(runs))
			default:
				side++
				list := of.sides[side].runs
				t.counted(format.MemoryBlock(1), list)
				out = format.AppendPart(out, p.Kind, format.AppendMemory(nil, list))
			}
		case format.KeptTexts:
			out = format.AppendPart(out, p.Kind, of.sides[side].kept)
		case format.TypedBytes:
			out = format.AppendPart(out, p.Kind, of.sides[side].typed)
		default:
			out = format.AppendPart(out, p.Kind, p.Data)
		}
	}
	return t.writer.Block(format.HitsBlock, out, 0, 0)
}

// hitsOf is what becomes of a block of hits.
type hitsOf struct {
	*tightener
	sides []sidePainted // in the order of their parts
}

// hitsAgain redacts a block of hits again. Its tokens are its own.
func (t *tightener) hitsAgain(block []byte) (*hitsOf, error) {
	list, err := recorded.ReadHits(block, t.constants)
	if err != nil {
		return nil, err
	}
	of := &hitsOf{tightener: &tightener{symbols: t.symbols, policy: t.policy, tokens: t.tokens, used: map[uint64]int{},
		stand: map[[16]byte]uint64{}, unknown: t.unknown}}
	for _, h := range list {
		sides, _ := ends(h)
		for _, side := range sides {
			for _, run := range side.Memory.Tokens() {
				of.next = max(of.next, (run.Addr+uint64(run.Size)+15)&^15)
			}
			painted, err := of.side(side)
			if err != nil {
				return nil, err
			}
			of.sides = append(of.sides, painted)
			for _, e := range of.edits {
				t.taken = append(t.taken, e.denied...)
			}
		}
	}
	t.unknown = of.unknown
	return of, nil
}

// side redacts one end of a call again.
func (t *hitsOf) side(side *recorded.Side) (out sidePainted, err error) {
	total, fields := 0, 0
	if t.typed, err = parseTyped(side.Typed, &total, &fields); err != nil {
		return out, err
	}
	if t.kept, err = parseKept(side.Kept); err != nil {
		return out, err
	}
	t.places, t.common, t.edits, t.keptAs = nil, nil, nil, map[string]*keptPlaces{}
	t.layOut()
	t.findKept()
	var things []thing
	for i := range t.typed {
		for _, addr := range t.typed[i].At {
			things = append(things, thing{addr, int32(i)})
		}
	}
	if err := t.decideThings(things, side.Memory); err != nil {
		return out, err
	}
	for _, run := range side.Memory.Runs() {
		out.runs = append(out.runs, t.edits[0].apply(run)...)
	}
	out.runs = joined(out.runs)
	if out.kept, err = json.Marshal(t.keptList()); err != nil {
		return out, err
	}
	left := slices.DeleteFunc(t.typed, func(one Typed) bool { return len(one.Fields) == 0 })
	for i := range left {
		at := left[i].At
		for k := len(at) - 1; k > 0; k-- {
			at[k] -= at[k-1]
		}
	}
	out.typed, err = json.Marshal(append([]Typed{}, left...))
	return out, err
}

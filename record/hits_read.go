package record

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"ri/attach/recorded"
	"ri/record/format"
)

// ends are the ends of a call that took something along.
func ends(h *recorded.Hit) (list []*recorded.Side, names []string) {
	for i, side := range []*recorded.Side{&h.AtEntry, &h.AtReturn} {
		if side.Memory != nil {
			list, names = append(list, side), append(names, []string{"entry", "return"}[i])
		}
	}
	return list, names
}

// hits looks through a block of hits.
func (a *Audit) hits(block []byte, constants *recorded.Constants, words []string, all bool) error {
	list, err := recorded.ReadHits(block, constants)
	if err != nil {
		return err
	}
	for _, h := range list {
		sides, _ := ends(h)
		for _, side := range sides {
			kept, err := parseKept(side.Kept)
			if err != nil {
				return err
			}
			for _, k := range kept {
				a.keptOf(k, side.Memory, all)
			}
			for _, run := range side.Memory.Runs() {
				if run.Kind == format.Data { // its words are looked for in the block
					s := searcher{audit: a, block: "a hit of " + h.Func, patterns: true}
					s.search(run.Data)
				}
			}
		}
	}
	return nil
}

// keptOf adds texts that a hit took along, and that are kept.
func (a *Audit) keptOf(k Kept, m recorded.Memory, all bool) {
	i := slices.IndexFunc(a.Kept, func(one KeptTexts) bool { return one.Field == k.Field && one.Constant == k.Constant })
	if i < 0 {
		i, a.Kept = len(a.Kept), append(a.Kept, KeptTexts{Field: k.Field, Constant: k.Constant})
	}
	one := &a.Kept[i]
	for _, place := range k.Places {
		one.Count++
		one.Bytes += int64(place[1])
		if !all && len(one.Samples) >= maxSamples || a.sampled >= maxSampled {
			continue
		}
		b := make([]byte, place[1])
		if n, err := m.ReadMemory(b, place[0]); err != nil {
			b = bytes.Clone(b[:n])
		}
		if text := string(b); !slices.Contains(one.Samples, text) {
			one.Samples, a.sampled = append(one.Samples, text), a.sampled+len(b)
		}
	}
}

// oneMemory is that of all looks.
type oneMemory struct{ *recorded.HitMemory }

func (m oneMemory) Memory(int) recorded.Memory { return m.HitMemory }

// hits writes all hits.
func (x *exporter) hits() error {
	constants, number := recorded.NewConstants(), 0
	for _, b := range x.file.Blocks() {
		if b.Name != format.HitsBlock {
			continue
		}
		data, err := x.file.Read(b)
		if err != nil {
			return err
		}
		list, err := recorded.ReadHits(data, constants)
		if err != nil {
			return err
		}
		for _, h := range list {
			number++
			if err := x.oneHit(h, number); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *exporter) oneHit(h *recorded.Hit, number int) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if text, err = inertJSON(text); err != nil {
		return err
	}
	if err := x.put("kept", "hit", "number", number, "hit", raw(text)); err != nil {
		return err
	}
	sides, names := ends(h)
	for i, side := range sides {
		with := []any{"hit", number, "at", names[i]}
		if err := x.side(side, with); err != nil {
			return err
		}
	}
	return nil
}

// side writes what was taken along at one end of a call.
func (x *exporter) side(side *recorded.Side, with []any) error {
	inner := &exporter{file: x.file, r: oneMemory{side.Memory}, w: x.w}
	kept, err := parseKept(side.Kept)
	if err != nil {
		return err
	}
	c := newCoverage(side.Memory.Runs())
	for _, k := range kept {
		for _, place := range k.Places {
			text := make([]byte, place[1])
			n, _ := side.Memory.ReadMemory(text, place[0])
			c.cover(place[0], n)
			if err := x.put(append([]any{"kept", "text", "field", k.Field, "constant", k.Constant, "address",
				location(place[0]), "text", text[:n], "missing", len(text) - n}, with...)...); err != nil {
				return err
			}
		}
	}
	total, fields := 0, 0
	typed, err := parseTyped(side.Typed, &total, &fields)
	if err != nil {
		return err
	}
	if err := inner.valuesOf(typed, with...); err != nil {
		return err
	}
	for i := range typed {
		for _, addr := range typed[i].At {
			inner.fields(&typed[i], addr, func(_ *Field, _ string, at uint64, b []byte) { c.cover(at, len(b)) })
		}
	}
	return c.left(func(addr uint64, b []byte) error {
		return x.put(append([]any{"kept", "bytes", "address", location(addr), "hex", hex.EncodeToString(b)}, with...)...)
	})
}

// VerifyHits reads all hits of a recording, and says what is wrong with them.
func VerifyHits(r *recorded.Recording) error {
	for h, err := range r.Hits() {
		if err != nil {
			return err
		}
		sides, _ := ends(h)
		for _, side := range sides {
			total, fields := 0, 0
			if _, err := parseTyped(side.Typed, &total, &fields); err != nil {
				return fmt.Errorf("a hit of %s: %w", h.Func, err)
			}
			if _, err := parseKept(side.Kept); err != nil {
				return fmt.Errorf("a hit of %s: %w", h.Func, err)
			}
		}
	}
	return nil
}

package symbols

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"ri/symbols/dwarf"
	"ri/symbols/sparse"
)

// Shipped is what of a File has been sent already, for what travels in several pieces. The zero Shipped is nothing.
type Shipped struct {
	ranges map[string][]sparse.Range
	sums   map[string][sha256.Size]byte
}

// isSparse tells whether a part is ranges of bytes: pieces of it add up. Any other part replaces the one before.
func isSparse(part string) bool {
	return part == "static" || part == "pclntab" || slices.Contains(dwarf.Sections, part)
}

// Rest gives what of p is not among what was sent, and notes that it is now. To what was sent it is added by Add.
//
// Errors: ErrPortable, of parts that Portable didn't make.
func (s *Shipped) Rest(p *Portable) (*Portable, error) {
	if s.ranges == nil {
		s.ranges, s.sums = map[string][]sparse.Range{}, map[string][sha256.Size]byte{}
	}
	out := map[string][]byte{}
	for name, data := range joined(p.Parts) {
		if !isSparse(name) {
			sum := sha256.Sum256(data)
			if s.sums[name] != sum {
				s.sums[name], out[name] = sum, data
			}
			continue
		}
		bytes, err := sparse.Decode(data)
		if err != nil {
			return nil, fmt.Errorf("symbols: %s: %w", name, ErrPortable)
		}
		fresh := sparse.Without(bytes.Ranges(), s.ranges[name])
		if len(fresh) > 0 || s.ranges[name] == nil {
			out[name] = sparse.Encode(fresh, bytes.Slice)
			s.ranges[name] = sparse.Merge(append(slices.Clone(s.ranges[name]), fresh...))
		}
	}
	return &Portable{Header: p.Header, Parts: divided(out)}, nil
}

// Add adds what was sent later: its header is the one that counts, ranges of bytes add up, other parts are replaced.
// Where both have a byte, the earlier counts.
//
// Errors: ErrPortable.
func (p *Portable) Add(more *Portable) error {
	all := joined(p.Parts)
	for name, data := range joined(more.Parts) {
		if !isSparse(name) || all[name] == nil {
			all[name] = data
			continue
		}
		was, err := sparse.Decode(all[name])
		if err == nil {
			var next sparse.Bytes
			if next, err = sparse.Decode(data); err == nil {
				both := sparse.Union(&was, &next)
				all[name] = sparse.Encode(both.Ranges(), both.Slice)
			}
		}
		if err != nil {
			return fmt.Errorf("symbols: %s: %v: %w", name, err, ErrPortable)
		}
	}
	p.Header, p.Parts = more.Header, divided(all)
	return nil
}

// divided has no part larger than MaxPart, nor one that is empty.
func divided(parts map[string][]byte) map[string][]byte {
	out := map[string][]byte{}
	for name, data := range parts {
		for i := 0; len(data) > 0; i++ {
			n := min(len(data), MaxPart)
			out[partName(name, i)], data = data[:n], data[n:]
		}
	}
	return out
}

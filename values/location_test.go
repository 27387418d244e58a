package values_test

import (
	"testing"

	"ri/values"
)

// FuzzLocation runs garbage as the location of a variable in a frame with registers.
func FuzzLocation(f *testing.F) {
	z := freeze(f)
	s, _ := z.space(nil)
	var g *values.Goroutine
	var stack []values.Frame
	for each, err := range s.Goroutines() {
		if err != nil {
			f.Fatal(err)
		}
		if frames, err := each.Stack(0); err == nil && len(frames) > 2 {
			g, stack = each, frames
		}
	}
	if g == nil {
		f.Fatal("no goroutine has a stack")
	}
	f.Add([]byte{0x91, 8}, "int")
	f.Add([]byte{0x9c}, "main.point")
	f.Add([]byte{0x50, 0x93, 8, 0x91, 16, 0x93, 8}, "main.point")
	f.Add([]byte{0x91, 8, 0x93, 8, 0x91, 16, 0x93, 8, 0x91, 24, 0x93, 8}, "[]int")
	f.Add([]byte{0x93, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, "string")
	f.Add([]byte{0x9e, 0xff, 0xff, 0xff, 0xff, 0x7f, 1}, "string")
	f.Add([]byte{0x0e, 1, 2, 3, 4, 5, 6, 7, 8, 0x06, 0x06, 0x9f}, "int")
	f.Add([]byte{0x77, 0x7f, 0x06, 0x23, 8, 0x1c, 0x22}, "int")
	f.Add([]byte{0x91, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, "int")
	f.Fuzz(func(t *testing.T, program []byte, name string) {
		s.Reset()
		typ, err := s.Type(name)
		if err != nil {
			return
		}
		for i := range stack {
			if v, err := values.RunLocation(g, &stack[i], program, typ); err == nil {
				v.Dump(values.DumpOptions{Depth: 2, Size: 1 << 10})
			}
		}
	})
}

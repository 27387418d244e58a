package kernel

import (
	"encoding/binary"
	"testing"

	"ri/probe"
	"ri/symbols/testprogram"
)

// The ways that older kernels have, as far as this one has them too: perf events, without cookies, without programs
// that may sleep.
func TestFallback(t *testing.T) {
	for name, how := range map[string]dialect{
		"5.8":  {},
		"5.15": {cookies: true},
		"6.0":  {cookies: true, sleepable: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, testprogram.Variant{})
			o := c.generous()
			o.as = &Ability{Way: Perf, how: how}
			o.Counting = 1
			taken, back := c.function("main.take", false), c.function("main.take", true)
			taken.At.When = compare(field(2, true, atSmall), probe.GreaterEqual, 5)
			taken.At.Reads = []probe.Read{{At: probe.Path{Base: reg(rax)}, Size: 80}}
			a := c.arm(o, taken, back)
			said, _ := c.do("take 100 4")
			want := 0
			for _, s := range said {
				if s.Small >= 5 {
					want++
				}
			}
			got, returned := 0, 0
			for _, e := range all(t, a) {
				switch {
				case e.Return != nil:
					returned++
				case int16(binary.LittleEndian.Uint16(e.Pieces[0].Data[atSmall:])) < 5:
					t.Errorf("%+v", e)
				default:
					got++
				}
			}
			if got != want || returned != len(said) {
				t.Errorf("%d of %d, %d returned: %+v", got, want, returned, a.Counts())
			}
		})
	}
}

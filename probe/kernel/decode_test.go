package kernel

import (
	"encoding/binary"
	"testing"

	"ri/probe"
)

// An event is bytes of the kernel, and decode trusts none of them.
func FuzzDecode(f *testing.F) {
	reads := []probe.Read{{Size: 13}, {Size: 64, Count: &probe.Word{}, Each: 8}}
	probes := []probe.Probe{{Sites: make([]probe.Site, 3), At: probe.Plan{Reads: reads}},
		{Sites: make([]probe.Site, 1), Returns: make([]probe.Site, 2), At: probe.Plan{Reads: reads},
			Back: probe.Plan{Reads: reads}}}
	a := &Armed{probes: probes, options: Options{Stack: 4}}
	for i := range probes {
		a.layouts = append(a.layouts, layoutOf(&probes[i], 4))
	}
	for i, l := range a.layouts {
		b := make([]byte, l.size)
		b[atKind], b[atProbe] = byte(kindHit+i), byte(i)
		b[l.at[1]+pieceState] = byte(probe.Truncated)
		binary.LittleEndian.PutUint32(b[l.at[1]+pieceLen:], 1<<31)
		b[atFrames] = 255
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := a.decode(b)
		if err != nil {
			return
		}
		p := probes[e.Probe]
		if e.Site >= len(p.Sites) || len(e.Stack) > 4 || len(e.Pieces) != len(reads) || e.Return != nil && e.Ended {
			t.Fatalf("%+v", e)
		}
		for i, piece := range e.Pieces {
			if len(piece.Data) > int(reads[i].Size) {
				t.Fatalf("%+v", piece)
			}
		}
	})
}

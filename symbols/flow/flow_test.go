package flow

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ri/symbols"
)

// build builds testdata/locks with a release of Go.
func build(t *testing.T, toolchain string, args ...string) *symbols.File {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "locks")
	cmd := exec.Command("go", append(append([]string{"build", "-o", exe}, args...), ".")...)
	cmd.Dir = "testdata/locks"
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+toolchain, "GOFLAGS=-mod=mod")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	f, err := symbols.Open(file, exe)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// calls of main.here in a function, in the order of the source.
func calls(t *testing.T, f *symbols.File, function string) []uint64 {
	t.Helper()
	_, entry, err := f.Func(function)
	if err != nil {
		t.Fatal(err)
	}
	_, here, _ := f.Func("main.here")
	code, _ := f.Code(entry)
	byLine := map[int]uint64{}
	lines := []int{}
	for i := 0; i+5 <= len(code); i++ {
		if code[i] == 0xe8 && entry+uint64(i)+5+uint64(int64(int32(binary.LittleEndian.Uint32(code[i+1:])))) == here {
			info, _ := f.PC(entry + uint64(i))
			line := info.Lines[0].Line
			if _, ok := byLine[line]; !ok {
				lines = append(lines, line)
			}
			byLine[line] = entry + uint64(i)
		}
	}
	var out []uint64
	for len(lines) > 0 {
		low := 0
		for i := range lines {
			if lines[i] < lines[low] {
				low = i
			}
		}
		out = append(out, byLine[lines[low]])
		lines = append(lines[:low], lines[low+1:]...)
	}
	return out
}

// describe says what is held: W for each lock, R for readers, I for a call through an interface. Behind it stands * for
// a lock of earlier rounds, and ? where the address isn't known in the frame.
func describe(s *State) string {
	if s == nil {
		return "-"
	}
	var parts []string
	for _, h := range s.Held {
		text := "W"
		if h.Reader {
			text = "R"
		}
		if h.Via != nil {
			text = "I"
		}
		if h.Rounds == 0 && !found(s, h.Lock) { // behind a loop what it counted may be gone
			text += "?"
		}
		if h.Rounds != 0 {
			text += "*"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "")
}

// describePossible says what is possibly held, and not certainly: M, L of an earlier round of a loop.
func describePossible(s *State) (text string) {
	for _, m := range s.Maybe {
		switch {
		case s.Holds(m.Held) || m.Rounds != 0:
		case m.Loop != 0:
			text += "L"
		default:
			text += "M"
		}
	}
	return text
}

func found(s *State, e *Expr) bool {
	if _, ok := s.Slot(e); ok || e.Kind == Constant || e.Kind == Stack {
		return true
	}
	return (e.Base != nil || e.Index != nil) && (e.Base == nil || found(s, e.Base)) &&
		(e.Index == nil || found(s, e.Index))
}

func TestLoops(t *testing.T) {
	for _, toolchain := range []string{"local", "go1.20.14", "go1.27.3"} {
		f := build(t, toolchain)
		for function, want := range map[string]bool{"main.plain": false, "main.branch": false, "main.switched": false,
			"main.loop": true, "main.tryUntil": true, "main.forEver": true} {
			_, entry, err := f.Func(function)
			if err != nil {
				t.Fatal(err)
			}
			if Loops(f, entry) != want {
				t.Errorf("%s: %s loops: %v", toolchain, function, !want)
			}
		}
	}
}

// TestAround has it told where a function comes without making one of some calls.
func TestAround(t *testing.T) {
	for _, toolchain := range []string{"local", "go1.20.14", "go1.27.3"} {
		f := build(t, toolchain)
		at := calls(t, f, "main.ways")
		if len(at) != 5 {
			t.Fatalf("%s: %d calls, not 5", toolchain, len(at))
		}
		p, err := New(f, -1)
		if err != nil {
			t.Fatal(err)
		}
		info, _ := f.PC(at[0])
		for _, want := range []struct {
			from   uint64
			next   bool
			past   []int // calls that are not to be made
			comes  []int // calls that are come to all the same
			others []int
		}{
			{info.Entry, true, nil, []int{1, 2, 3, 4, 5}, nil},
			{info.Entry, true, []int{1}, []int{1}, []int{2, 3, 4, 5}},
			{info.Entry, true, []int{2}, []int{1, 2, 3, 4, 5}, nil},
			{info.Entry, true, []int{3}, []int{1, 2, 3, 5}, []int{4}},
			{at[3], false, []int{3}, []int{3, 5}, []int{1, 2, 4}},
			{at[3], true, []int{3}, []int{3, 4, 5}, []int{1, 2}},
			{at[2], false, []int{4, 5}, []int{3, 4, 5}, []int{1, 2}},
		} {
			var past []uint64
			for _, n := range want.past {
				past = append(past, at[n-1])
			}
			around := p.Around(want.from, want.next, past)
			for _, n := range want.comes {
				if !around(at[n-1]) {
					t.Errorf("%s: %+v: call %d isn't come to", toolchain, want, n)
				}
			}
			for _, n := range want.others {
				if around(at[n-1]) {
					t.Errorf("%s: %+v: call %d is come to", toolchain, want, n)
				}
			}
		}
	}
}

func TestHeld(t *testing.T) {
	for _, toolchain := range []string{"local", "go1.20.14", "go1.24.6", "go1.27.3"} {
		for _, flags := range [][]string{nil, {"-gcflags=all=-N -l"}} {
			f := build(t, toolchain, flags...)
			rw, err := f.Type("sync.RWMutex")
			if err != nil {
				t.Fatal(err)
			}
			field, err := rw.FieldByName("readerCount")
			if err != nil {
				t.Fatal(err)
			}
			p := newProgram(f, field.Offset)
			for function, want := range map[string]string{
				"main.plain": "W,", "main.deferred": "W,WW", "main.reader": "R,W,", "main.global": "W,W,",
				"main.branch": ",W,",
				"main.loop":   "W,,", "main.helped": "W,", "main.calls": ",", "main.function": "W",
				"main.switched": "W,,W",
				"main.try":      "W,", "main.tryUntil": ",W,", "main.refused": ",W,W", "main.all": "W*W,W*,,",
				"main.allOf":   "W*W,W*",
				"main.forEver": "W*W,W*,,", "main.some": "", "main.indexed": "W,W",
				"main.twice": "WW,W", "main.either": "W,", "main.made": "W,", "main.continues": ",W,,",
			} {
				var got []string
				for _, pc := range calls(t, f, function) {
					got = append(got, describe(p.At(pc)))
				}
				// -: only a switch's table leads there
				if text := strings.ReplaceAll(strings.Join(got, ","), "-", ""); text != want {
					t.Errorf("%s %v: %s holds %q, not %q", toolchain, flags, function, text, want)
				}
			}
			for function, want := range map[string]string{"main.tryUntil": "W,,", "main.try": ",", "main.insists": "W",
				"main.insistsBy": "W", "main.backsOff": "W,W", "main.plain": ",", "main.refused": ",,"} {
				var got []string
				for _, pc := range calls(t, f, function) {
					text := ""
					for _, h := range p.TriesAround(pc) {
						if s := p.At(pc); s != nil && found(s, h.Lock) {
							text += "W"
						}
					}
					got = append(got, text)
				}
				if text := strings.Join(got, ","); text != want {
					t.Errorf("%s %v: %s tries %q, not %q", toolchain, flags, function, text, want)
				}
			}
			for function, want := range map[string]string{"main.plain": ",", "main.left": ",M,M,",
				"main.continues": "L,,,L", "main.all": ",,,", "main.branch": ",,"} {
				var got []string
				for _, pc := range calls(t, f, function) {
					got = append(got, describePossible(p.At(pc)))
				}
				if text := strings.Join(got, ","); text != want {
					t.Errorf("%s %v: %s possibly holds %q, not %q", toolchain, flags, function, text, want)
				}
			}
			through := p.Interfaces()
			at := calls(t, f, "main.locker")
			if text := describe(through.At(at[0])) + "," +
				describe(through.At(at[1])); !strings.HasPrefix(text, "I,I") {
				t.Errorf("%s %v: through interfaces %q", toolchain, flags, text)
			}
			if before, after := through.At(at[0]).Held[0].Via.N, through.At(at[1]).Held[0].Via.N; before != 24 ||
				after != 32 {
				t.Errorf("%s %v: methods at %d and %d in the itab", toolchain, flags, before, after)
			}
		}
	}
}

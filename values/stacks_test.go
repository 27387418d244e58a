package values_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"ri/attach"
	"ri/symbols/testprogram"
	"ri/values"
)

// groupTexts gives groups as texts with how many goroutines each has.
func groupTexts(groups []*values.StackGroup) map[string]int {
	out := map[string]int{}
	for _, g := range groups {
		out[groupText(g.Status, g.WaitReason, g.Frames, g.Broken)] += g.Count
	}
	return out
}

func groupText(status, reason string, frames []values.Frame, broken error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", status, reason)
	for _, f := range frames {
		fmt.Fprintf(&b, "; %s:%d %v", f.Func, f.Line.Line, f.Inlined)
	}
	if broken != nil {
		b.WriteString("; broken")
	}
	return b.String()
}

// What Stacks gives in groups is what each goroutine gives for itself.
func TestStacksAreThoseOfGoroutines(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, v testprogram.Variant) {
		l := look(t, v, attach.Stopped)
		for _, system := range []bool{false, true} {
			want := map[string]int{}
			for g, err := range l.Goroutines() {
				if err != nil {
					t.Fatal(err)
				}
				if system || !g.System {
					frames, err := g.Stack(0)
					want[groupText(g.Status, g.WaitReason, frames, err)]++
				}
			}
			groups, err := l.Space.Stacks(values.StackOptions{System: system}, new(values.StackMemo))
			if err != nil {
				t.Fatal(err)
			}
			if got := groupTexts(groups); !maps.Equal(got, want) {
				t.Errorf("system %v:\n got %v\nwant %v", system, got, want)
			}
		}
	})
}

// Stacks that are remembered from an earlier look are not believed once the goroutine has run, even if it waits in the
// same place again.
func TestStacksRemembered(t *testing.T) {
	testprogram.Each(t, func(t *testing.T, v testprogram.Variant) {
		p := testprogram.Start(t, testprogram.Build(t, "testdata/parked", v))
		l := lookAt(t, p, attach.Live)
		memo := new(values.StackMemo)
		// count says how many wait in left and in right, and how many pages were read for it.
		count := func() (left, right, pages int) {
			t.Helper()
			l.Mem().Reset(l.View)
			groups, err := l.Space.Stacks(values.StackOptions{}, memo)
			if err != nil {
				t.Fatal(err)
			}
			for text, n := range groupTexts(groups) {
				switch {
				case strings.Contains(text, "main.left:"):
					left += n
				case strings.Contains(text, "main.right:"):
					right += n
				}
			}
			return left, right, len(l.Mem().Pages())
		}
		l.Mem().Exact = true
		// settle waits until as many as there should be wait in right.
		settle := func(want int) (pages int) {
			t.Helper()
			for deadline := time.Now().Add(time.Minute); ; {
				left, right, pages := count()
				if left+right == 2000 && right == want {
					return pages
				}
				if time.Now().After(deadline) {
					t.Fatalf("%d wait in left and %d in right, not %d", left, right, want)
				}
			}
		}
		before := settle(0)
		p.Stacks() // moves one
		settle(1)
		p.Stacks()
		after := settle(2)

		// Nothing but the stacks of those that moved was read through the cache.
		if after > before+100 || after > 1000 {
			t.Errorf("%d pages were read at first and %d later, with 2,000 stacks of 2 KiB each", before, after)
		}
		// words gives what is on each goroutine's stack, and how many pages were read for it.
		words := func(look func(*values.Goroutine, func())) (texts map[int64]string, pages int) {
			t.Helper()
			texts, pages = map[int64]string{}, -len(l.Mem().Pages())
			for g, err := range l.Goroutines() {
				if err != nil {
					t.Fatal(err)
				}
				look(g, func() {
					frames, err := g.Unwind(0)
					texts[g.ID] = fmt.Sprint(err)
					for i := range frames {
						word, err := l.Uint64(frames[i].CFA - 16)
						texts[g.ID] += fmt.Sprintln(frames[i].Func, frames[i].Line, frames[i].CFA, word, err)
					}
				})
			}
			return texts, pages + len(l.Mem().Pages())
		}
		words(l.OnStack)
		// However long the look takes: what is looked at again in time is believed.
		values.AgeMemo(memo, 6*time.Second)
		l.KeepStacks()
		values.AgeMemo(memo, 6*time.Second)
		l.View.Close()
		view, err := l.Target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		defer view.Close()
		l.View = view
		l.SetThreads(view.Threads())
		if left, right, _ := count(); left != 1998 || right != 2 {
			t.Errorf("in a stop %d wait in left and %d in right", left, right)
		}
		apart, read := words(l.OnStack)
		if read > 200 {
			t.Errorf("%d pages of stacks were read that are remembered", read)
		}
		if plain, _ := words(func(_ *values.Goroutine, read func()) { read() }); !maps.Equal(apart, plain) {
			t.Error("stacks that are read apart are others than those that are there")
		}
	})
}

// A g that is overwritten is an error or a broken stack, never a hang or a panic.
func TestStacksOfGarbage(t *testing.T) {
	z := freeze(t)
	s, _ := z.space(nil)
	var gs []*values.Goroutine
	for g, err := range s.Goroutines() {
		if err != nil {
			t.Fatal(err)
		}
		gs = append(gs, g)
	}
	for _, g := range gs {
		for off := uint64(0); off < 448; off += 8 {
			for _, word := range []uint64{0, 1, 0x18, ^uint64(0), g.Addr, 1 << 47} {
				s, _ := z.space(map[uint64]uint64{g.Addr + off: word})
				groups, err := s.Stacks(values.StackOptions{System: true}, new(values.StackMemo))
				if err == nil && len(groups) == 0 {
					t.Errorf("word %#x at %d of g %#x: no goroutines and no error", word, off, g.Addr)
				}
			}
		}
	}
}

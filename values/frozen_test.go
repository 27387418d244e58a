package values_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"ri/attach"
	"ri/attach/process"
	"ri/symbols"
	"ri/symbols/testprogram"
	"ri/values"
)

// frozen is a copy of a fixture's memory, to break at will.
type frozen struct {
	pages   map[uint64][]byte
	used    map[uint64]bool // pages that a walk over everything read
	file    *symbols.File
	bias    uint64
	threads []attach.Thread
	err     error
}

var (
	freezeOnce sync.Once
	theFrozen  *frozen
)

// freeze copies all readable memory of the fixture, once for all tests.
func freeze(t testing.TB) *frozen {
	t.Helper()
	freezeOnce.Do(func() {
		p := testprogram.Start(t, testprogram.Build(t, fixture, testprogram.Variants[0]))
		defer p.End()
		theFrozen = copyProcess(t, p)
	})
	if theFrozen == nil || theFrozen.err != nil {
		t.Fatal("the fixture could not be copied")
	}
	return theFrozen
}

func copyProcess(t testing.TB, p *testprogram.Program) *frozen {
	t.Helper()
	target, err := process.Open(p.PID)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	// The path, not the target's file: this outlives the process.
	exe, err := os.Open(target.ExecutablePath())
	if err != nil {
		t.Fatal(err)
	}
	z := &frozen{pages: map[uint64][]byte{}, used: map[uint64]bool{}}
	if z.file, err = symbols.Open(exe, "kinds"); err != nil {
		t.Fatal(err)
	}
	z.bias = target.Entry() - z.file.Entry()
	view, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	z.threads = view.Threads()
	mappings, err := target.Mappings()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mappings {
		if !m.Read || m.End-m.Start > 256<<20 || m.Path == "[vvar]" || m.Path == "[vsyscall]" {
			continue
		}
		data := make([]byte, m.End-m.Start)
		n, _ := view.ReadMemory(data, m.Start)
		for at := 0; at+attach.PageSize <= n; at += attach.PageSize {
			page := data[at : at+attach.PageSize]
			for _, b := range page {
				if b != 0 {
					z.pages[m.Start+uint64(at)] = page
					break
				}
			}
		}
	}
	// What a look at everything reads is what is worth breaking.
	s, memory := z.space(nil)
	exercise(s, values.DumpOptions{Depth: 4})
	z.used = memory.touched
	return z
}

// patched is a frozen memory with some pages replaced.
type patched struct {
	*frozen
	patches map[uint64][]byte
	touched map[uint64]bool
}

func (p *patched) ReadMemory(b []byte, addr uint64) (n int, err error) {
	for n < len(b) {
		at := addr + uint64(n)
		base := at &^ (attach.PageSize - 1)
		page := p.patches[base]
		if page == nil {
			page = p.pages[base]
		}
		if page == nil {
			return n, &attach.AddressError{Addr: at}
		}
		p.touched[base] = true
		n += copy(b[n:], page[at-base:])
	}
	return n, nil
}

// space opens the frozen memory with words of it replaced.
func (z *frozen) space(words map[uint64]uint64) (*values.Space, *patched) {
	p := &patched{z, map[uint64][]byte{}, map[uint64]bool{}}
	for addr, w := range words {
		for i := range uint64(8) {
			at := addr + i
			base := at &^ (attach.PageSize - 1)
			if p.patches[base] == nil {
				if z.pages[base] == nil {
					continue
				}
				p.patches[base] = append([]byte(nil), z.pages[base]...)
			}
			p.patches[base][at-base] = byte(w >> (8 * i))
		}
	}
	s := values.New(z.file, attach.NewCache(p), z.bias)
	s.SetThreads(z.threads)
	s.SetNow(1 << 62)
	return s, p
}

// exercise looks at everything there is; nothing of it may panic, hang, or fill the machine.
func exercise(s *values.Space, opt values.DumpOptions) error {
	if opt.Size == 0 {
		opt.Size = 1 << 16
	}
	for _, name := range s.File().Vars() {
		if len(name) < 5 || name[:5] != "main." {
			continue
		}
		v, err := s.Var(name)
		if err != nil {
			continue
		}
		// What is written after the limit was reached is the rest of one value.
		if text := v.Dump(opt); len(text) > opt.Size+1<<16 {
			return fmt.Errorf("%s: %d bytes of text, limit %d", name, len(text), opt.Size)
		}
		v.Len()
		v.Cap()
		v.Constant()
		n := 0
		for range v.Entries() {
			if n++; n > 20_000 {
				break
			}
		}
	}
	for g, err := range s.Goroutines() {
		if err != nil {
			continue
		}
		stack, _ := g.Stack(64)
		for i := range stack {
			vars, _ := g.Vars(&stack[i])
			for _, v := range vars {
				v.Value.Dump(values.DumpOptions{Depth: 2, Size: 1 << 12, OneLine: true})
			}
		}
		g.Labels()
	}
	return nil
}

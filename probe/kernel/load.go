package kernel

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"ri/probe"
)

// Limits of one program: jumps reach 32,768 instructions, and what the verifier walks through is limited too. It also
// moves all that follows at each call and each access that it rewrites, so that a program costs it the square of its
// length: 500 probes took 0.5 s of CPU in 8 programs, and 0.18 s in 63 (Linux 6.18). More programs than some dozens
// take longer to go away.
const (
	unitCode   = 16 << 10
	unitProbes = 8
	unitsMost  = 64
)

// unit is a program that serves several probes: one link a probe would take minutes to close for hundreds, since the
// kernel waits for all its processors at each.
type unit struct {
	probes  []int
	site    int // of the only probe; -1: all, since cookies tell
	back    bool
	code    asm.Instructions
	program *ebpf.Program
}

func (u *unit) serves(p spot) bool {
	return p.back == u.back && slices.Contains(u.probes, p.probe) && (u.site < 0 || u.site == p.site)
}

// part is the code of one probe.
type part struct {
	probe int
	code  *assembler
	slots slots
}

// makeUnits generates the code of all probes, at their returns or their beginnings, and joins it to programs. Where the
// kernel has no cookies each site needs a program of its own.
func (a *Armed) makeUnits(back bool) ([]*unit, error) {
	var out []*unit
	var parts []part
	size, most := 0, max(unitProbes, (len(a.probes)+unitsMost-1)/unitsMost)
	flush := func() error {
		if len(parts) == 0 {
			return nil
		}
		u, err := join(parts, a.how, 0)
		if err != nil {
			return err
		}
		u.back = back
		out, parts, size = append(out, u), nil, 0
		return nil
	}
	for i := range a.probes {
		p := &a.probes[i]
		sites := p.Sites
		if back {
			sites = p.Returns
		}
		if len(sites) == 0 {
			continue
		}
		one, err := a.part(i, back)
		if err != nil {
			return nil, err
		}
		if !a.how.cookies {
			for s, site := range sites {
				u, err := join([]part{one}, a.how, cookie(i, s, site))
				if err != nil {
					return nil, err
				}
				u.back, u.site = back, s
				out = append(out, u)
			}
			continue
		}
		if size+len(one.code.code) > unitCode || len(parts) == most {
			if err := flush(); err != nil {
				return nil, err
			}
		}
		parts, size = append(parts, one), size+len(one.code.code)
	}
	return out, flush()
}

func (a *Armed) part(i int, back bool) (part, error) {
	p := &a.probes[i]
	m := mapsOf{control: a.controlMap.FD(), ring: a.ringMap.FD(), layout: a.control.layout}
	if a.flows != nil {
		m.flows = a.flows.FD()
	}
	if c := a.callsOf(i); c != nil {
		m.calls = c.FD()
	}
	if b := a.blanks[a.layouts[i].size]; b != nil {
		m.blank = b.FD()
	}
	if t := a.tables[i]; t != nil {
		m.table = t.FD()
	}
	code := newAssembler()
	g := newGenerator(code, p, i, a.layouts[i], m, a.how, a.options)
	if back {
		g.back()
	} else {
		g.entry()
	}
	if g.err != nil {
		return part{}, g.err
	}
	return part{i, code, g.slots}, nil
}

func join(parts []part, how dialect, known uint64) (*unit, error) {
	u := &unit{site: -1}
	all := newAssembler()
	prologue(all, parts[0].slots, how, known)
	var starts []label
	for _, p := range parts {
		u.probes = append(u.probes, p.probe)
		starts = append(starts, all.label())
	}
	dispatch(all, parts[0].slots, u.probes, starts)
	for i, p := range parts {
		all.place(starts[i])
		all.join(p.code)
	}
	code, err := all.finish()
	u.code = code
	return u, err
}

func programSpec(code asm.Instructions, how dialect, way Way) *ebpf.ProgramSpec {
	spec := &ebpf.ProgramSpec{Name: "ri_probe", Type: ebpf.Kprobe, License: "GPL", Instructions: code,
		KernelVersion: anyKernel}
	if how.sleepable {
		spec.Flags = 1 << 4 // BPF_F_SLEEPABLE
	}
	if way == Multi {
		spec.AttachType = ebpf.AttachTraceUprobeMulti
	}
	return spec
}

// anyKernel is given since Linux 5.0 asks for none, and the library would look for it in /proc/self/mem, which is not
// to be opened where ri has its capabilities from its file (setcap).
const anyKernel = 1

// loadAll has the kernel verify all units, on all processors.
func (a *Armed) loadAll(units []*unit) error {
	if len(units) == 1 {
		return a.load(units[0])
	}
	next := make(chan *unit)
	errs := make(chan error)
	workers := min(runtime.GOMAXPROCS(0), len(units))
	for range workers {
		go func() {
			var first error
			for u := range next {
				if first == nil {
					first = a.load(u)
				}
			}
			errs <- first
		}()
	}
	for _, u := range units {
		next <- u
	}
	close(next)
	var first error
	for range workers {
		first = cmp.Or(first, <-errs)
	}
	return first
}

// load has the kernel verify a unit. Of a unit that it refuses it finds the probe for which.
func (a *Armed) load(u *unit) error {
	program, err := ebpf.NewProgramWithOptions(programSpec(u.code, a.how, a.way), ebpf.ProgramOptions{LogDisabled: true})
	if err == nil {
		u.program = program
		return nil
	}
	for _, i := range u.probes {
		if len(u.probes) == 1 {
			break
		}
		one, err := a.part(i, u.back)
		if err != nil {
			return err
		}
		alone, err := join([]part{one}, a.how, 0)
		if err != nil {
			return err
		}
		if err := a.load(alone); err != nil {
			return err
		}
		alone.program.Close()
	}
	return a.refusal(u, err)
}

// refusal says why the kernel's verifier refuses a program: its last word is enough for who reports it.
func (a *Armed) refusal(u *unit, cause error) error {
	name := a.probes[u.probes[0]].Name
	_, err := ebpf.NewProgram(programSpec(u.code, a.how, a.way))
	if err == nil {
		err = cause
	}
	var verifier *ebpf.VerifierError
	if !errors.As(err, &verifier) {
		return fmt.Errorf("probe %s: the kernel refuses its program: %w", name, err)
	}
	last := ""
	for _, line := range verifier.Log {
		if !strings.HasPrefix(line, "processed ") && strings.TrimSpace(line) != "" {
			last = line
		}
	}
	return fmt.Errorf("probe %s: the kernel's verifier refuses its program of %d instructions (%s): %w", name,
		len(u.code), last, ErrTooComplex)
}

// counting is a program that only counts, by probe: what it counts says what a session would cost.
func counting(c controlLayout, fd int, how dialect, known uint64) (asm.Instructions, error) {
	a := newAssembler()
	s := slots{cookie: -8}
	prologue(a, s, how, known)
	out := a.label()
	a.add(asm.And.Imm(asm.R0, maxProbes-1))
	a.if_(asm.JGE, asm.R0, int32(c.probes), out)
	a.add(asm.Mul.Imm(asm.R0, sizeCounters))
	a.add(asm.LoadMapValue(counters, fd, uint32(c.counters(0, 0))))
	a.add(asm.Add.Reg(counters, asm.R0))
	if c.shards > 1 {
		a.call(asm.FnGetSmpProcessorId)
		a.add(asm.And.Imm(asm.R0, int32(c.shards-1)), asm.Mul.Imm(asm.R0, int32(c.stride())))
		a.add(asm.Add.Reg(counters, asm.R0))
	}
	// Which of the two counters it is, the sign of the CFA says: it is never negative.
	a.load(asm.R1, frame, s.cookie)
	back := a.label()
	a.if_(asm.JSLT, asm.R1, 0, back)
	a.count(countEntries)
	a.jump(out)
	a.place(back)
	a.count(countReturns)
	a.place(out)
	a.exit()
	return a.finish()
}

const countsReturn = 1 << 63

// rows reads a table.
func (a *Armed) Table(i int) []Row {
	if i < 0 || i >= len(a.probes) || a.tables[i] == nil {
		return nil
	}
	p := &a.probes[i]
	var rows []Row
	key, value := make([]byte, keySize(p)), make([]byte, rowSizeOf(p))
	for it := a.tables[i].Iterate(); it.Next(&key, &value); {
		rows = append(rows, rowOf(p, key, value))
	}
	sortRows(rows)
	return rows
}

func rowOf(p *probe.Probe, key, value []byte) Row {
	r := Row{Count: le64(value[rowCount:]), Total: time.Duration(le64(value[rowTotal:]))}
	missing := le64(key)
	at := 8
	for i, k := range p.By {
		state := probe.Captured
		switch {
		case missing&(1<<i) != 0 && missing&(1<<(32+i)) != 0:
			state = probe.Unwanted
		case missing&(1<<i) != 0:
			state = probe.Unreadable
		case missing&(1<<(32+i)) != 0:
			state = probe.NilOnTheWay
		}
		word := le64(key[at:])
		text := key[at+8 : at+8+k.Bytes]
		if k.Len == nil || state != probe.Captured {
			text = nil
		} else if word < uint64(len(text)) {
			text = text[:word]
		} else if word > uint64(len(text)) {
			state = probe.Truncated
		}
		r.Key, r.Texts, r.States = append(r.Key, word), append(r.Texts, slices.Clone(text)), append(r.States, state)
		at += partSize(k)
	}
	if p.Histogram {
		for i := range r.Buckets {
			r.Buckets[i] = le64(value[rowBuckets+8*i:])
		}
	}
	return r
}

package record

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"regexp"
	"slices"
	"sync"
	"time"

	"ri/attach/recorded"
	"ri/record/format"
	"ri/record/redact"
	"ri/secrets"
	"ri/symbols"
	"ri/trace"
	"ri/values"
)

// Hits keeps a trace's hits in a recording. Its file is the caller's; it has no end mark until Close.
type Hits struct {
	*maker
	types map[*symbols.Type]string // by which name each is found; "": by none

	parts     []byte // of the hits that were not written yet
	tokens    []byte // of these
	constants map[uint64]int
	fresh     map[uint64][]byte // constants that were not written yet

	side    sidePainted
	names   map[uint64]string // of what lies at an address, as a variable
	total   Counts            // of what was written
	written int64
}

// sidePainted is what a painter gives of one end of a call.
type sidePainted struct {
	runs        []format.Memory
	kept, typed []byte
}

// Hits begins a recording of a trace: what is known of the process and of the executable comes first, so that a file
// that is cut short reads.
func (r *Recorder) Hits(about *recorded.Trace, file *os.File) (*Hits, error) {
	h := &Hits{maker: &maker{Recorder: r, disk: file}, types: map[*symbols.Type]string{},
		constants: map[uint64]int{}, fresh: map[uint64][]byte{}, names: map[uint64]string{}}
	if err := h.readMappings(); err != nil {
		return nil, err
	}
	head := h.header(nil, nil)
	head.Recipes = []Ran{{Recipe: traceName(about), Problem: "it had not ended"}}
	var err error
	if h.file, err = begin(file, r.opt.Recipients, head); err != nil {
		return nil, err
	}
	h.writer = h.file.Writer
	process := h.process()
	process.Files = nil
	now := recorded.Look{Written: time.Now(), Nanotime: r.session.Target.Nanotime()}
	if err := h.block(format.ProcessBlock, process); err != nil {
		return nil, err
	}
	if err := h.symbols(); err != nil {
		return nil, err
	}
	if err := h.block(format.LookBlock(1), now); err != nil {
		return nil, err
	}
	return h, h.block(format.TraceBlock, redacted(about, r.opt.Policy))
}

func traceName(about *recorded.Trace) string { return cmp.Or(about.Recipe, "trace") }

var (
	literal    = regexp.MustCompile("[\"'`]")
	identifier = regexp.MustCompile(`[\pL_][\pL\d_]*`)
)

// redacted leaves out the conditions that have texts in them, or numbers that may be a secret.
func redacted(about *recorded.Trace, policy *redact.Policy) *recorded.Trace {
	out := *about
	out.Probes = slices.Clone(about.Probes)
	for i := range out.Probes {
		out.Probes[i].When = slices.DeleteFunc(slices.Clone(out.Probes[i].When), func(expr string) bool {
			return policy.DenyNumbers || literal.MatchString(expr) ||
				slices.ContainsFunc(identifier.FindAllString(expr, -1), secrets.Name)
		})
	}
	return &out
}

// Keep keeps a hit.
func (h *Hits) Keep(hit *trace.Hit) error {
	if h.painter == nil {
		h.painter = h.newPainter()
	}
	note := recorded.Hit{Probe: hit.Probe, Time: hit.Time, Nanotime: hit.Nanotime, Goroutine: hit.Goroutine,
		Func: hit.Func, Into: hit.Into, Took: max(hit.Took, 0), Returned: hit.Took >= 0, Ended: hit.Ended,
		SoFar: hit.SoFar, Stack: hit.Stack}
	if hit.Undecided != "" {
		note.Undecided = "not decided" // its text has the condition
	}
	var sides [2]sidePainted
	for i, end := range []struct {
		values []trace.Value
		roots  *[]recorded.Root
	}{{hit.Entry, &note.Entry}, {hit.Return, &note.Return}} {
		var err error
		if *end.roots, sides[i], err = h.paintSide(hit, end.values); err != nil {
			return err
		}
	}
	text, err := json.Marshal(note)
	if err != nil {
		return err
	}
	h.parts = format.AppendPart(h.parts, format.Hit, text)
	for i, kind := range []format.PartKind{format.AtEntry, format.AtReturn} {
		side := &sides[i]
		if len(side.runs) == 0 {
			continue
		}
		h.parts = format.AppendPart(h.parts, kind, format.AppendMemory(nil, side.runs))
		if len(side.kept) > 0 {
			h.parts = format.AppendPart(h.parts, format.KeptTexts, side.kept)
		}
		if len(side.typed) > 0 {
			h.parts = format.AppendPart(h.parts, format.TypedBytes, side.typed)
		}
	}
	h.written++
	if len(h.parts) >= memoryBytes {
		return h.flush()
	}
	return nil
}

// paintSide redacts what a hit took along at one end of a call.
func (h *Hits) paintSide(hit *trace.Hit, list []trace.Value) (roots []recorded.Root, out sidePainted, err error) {
	sight := NewSight()
	clear(h.names)
	var of trace.Value
	for _, v := range list {
		root := recorded.Root{Name: v.Name}
		if v.Err != nil {
			root.Why, root.Nil = v.Err.Error(), errors.Is(v.Err, values.ErrNil)
			roots = append(roots, root)
			continue
		}
		if of = v; !sight.listens(v) {
			sight.listen(v)
		}
		root.Addr = v.Value.Addr
		if root.Type = h.typeName(v.Value.Type); root.Type == "" {
			root.Why = "not kept: its type has no name by which it is found"
		}
		if v.Owner != nil {
			sight.Typed(v.Value.Addr-uint64(v.Inside), v.Owner)
		} else {
			sight.Typed(v.Value.Addr, v.Value.Type)
			h.names[v.Value.Addr] = hit.Func + "." + v.Name
		}
		hit.Look(v)
		roots = append(roots, root)
	}
	if of.Value.IsValid() {
		space := of.Value.Space()
		var lock sync.Mutex // of its cache
		space.SetWitness(nil)
		space.Mem().SetWitness(nil)
		h.painter.mem.Read = func(addr uint64, n int) ([]byte, bool) {
			lock.Lock()
			defer lock.Unlock()
			b, err := space.Mem().Slice(addr, n)
			return b, err == nil
		}
		h.painter.mem.Part = func(addr uint64, n int) []byte {
			b := make([]byte, min(n, maxPart))
			lock.Lock()
			defer lock.Unlock()
			k, _ := space.Mem().Beneath().ReadMemory(b, addr)
			return b[:k]
		}
		h.painter.mem.Next = nil
		if holes, ok := space.Mem().Beneath().(interface {
			Next(addr uint64, n int) (uint64, []byte)
		}); ok {
			h.painter.mem.Next = holes.Next
		}
		h.side, h.painter.keptAs = sidePainted{}, map[string]*keptPlaces{}
		err = h.painter.paint(sight, laterLook, func() error { return nil })
		out = h.side
	}
	return roots, out, err
}

const (
	maxPart   = 16 << 10 // bytes of a text whose beginning a hit took along
	laterLook = 2        // of which origins aren't kept: nobody walks a heap there
)

// listen has a sight hear what is read of the space that a value is in.
func (s *Sight) listen(v trace.Value) {
	v.Value.Space().SetWitness(s)
	v.Value.Space().Mem().SetWitness(s.Read)
}

func (s *Sight) listens(v trace.Value) bool { return v.Value.Space().Witness() == s }

// typeName is by which name a type is found where the executable isn't; "" if by none.
func (h *Hits) typeName(t *symbols.Type) string {
	name, ok := h.types[t]
	if !ok {
		if found, err := h.session.File.Type(t.Name); err == nil && found.Size == t.Size && found.Kind == t.Kind {
			name = t.Name
		}
		h.types[t] = name
	}
	return name
}

func (h *Hits) newPainter() *painter {
	start, end := h.image()
	return newPainter(Memory{
		Own:      func(addr uint64) bool { return addr >= start && addr < end },
		Code:     func(addr uint64) bool { return isCode(h.session, addr) },
		Constant: h.constant,
		Mapped: func(addr, n uint64) bool {
			if within(h.mapped, addr, n) {
				return true
			}
			_, ok := h.painter.mem.Read(addr, 1)
			return ok
		},
		Variable: func(addr uint64) string { return cmp.Or(h.names[addr], h.variables[addr]) },
		Tokens:   h.gap(),
	}, h.opt.Policy, redact.NewTokens(h.opt.Key), newOutput(h))
}

// Encode implements blockWriter: a block of the painter's is a part of one of hits.
func (h *Hits) Encode(name string, data []byte, _, _ uint64) (format.Encoded, error) {
	return format.Loose(name, data), nil
}

// Put implements blockWriter: it takes what the painter gives.
func (h *Hits) Put(e format.Encoded) error {
	name, data := e.Loose()
	switch name {
	case typedBlock:
		h.side.typed = slices.Clone(data)
	case keptBlock:
		h.side.kept = slices.Clone(data)
	case format.TokenBlock:
		h.tokens = format.AppendPart(h.tokens, format.Replaced, data)
	case format.MemoryBlock(laterLook):
		runs, err := format.ReadMemory(slices.Clone(data))
		if err != nil {
			return err
		}
		for _, run := range runs {
			if run.Kind == format.Data && within(h.maker.constants, run.Addr, uint64(run.Size)) {
				if h.constants[run.Addr] < run.Size {
					h.constants[run.Addr], h.fresh[run.Addr] = run.Size, run.Data
				}
				continue
			}
			h.side.runs = append(h.side.runs, run)
		}
	}
	return nil
}

// flush writes the hits that wait.
func (h *Hits) flush() error {
	if len(h.parts) == 0 {
		return nil
	}
	var block []byte
	for _, addr := range slices.Sorted(maps.Keys(h.fresh)) {
		data := h.fresh[addr]
		block = format.AppendPart(block, format.Constants,
			format.AppendMemory(nil, []format.Memory{{Addr: addr, Size: len(data), Data: data}}))
	}
	block = append(append(block, h.tokens...), h.parts...)
	c := &h.painter.counts
	h.total.Kept, h.total.Denied = h.total.Kept+c.Kept, h.total.Denied+c.Denied
	h.total.Tokens, h.total.Replaced = h.total.Tokens+c.Tokens, h.total.Replaced+c.Replaced
	h.total.Unknown += c.Unknown
	h.painter, h.tokens, h.parts = nil, nil, h.parts[:0]
	clear(h.fresh)
	_ = h.readMappings() // of a process that has gone it is what it was
	return h.writer.Block(format.HitsBlock, block, 0, 0)
}

// Kept is how many hits were kept.
func (h *Hits) Kept() int64 { return h.written }

// Close writes what is left, and the end mark. sum is nil of a trace that failed.
func (h *Hits) Close(about *recorded.Trace, sum *trace.Summary) (*Header, error) {
	if err := h.flush(); err != nil {
		return nil, err
	}
	if err := h.symbols(); err != nil { // types that interfaces held
		return nil, err
	}
	ran := Ran{Recipe: traceName(about), Rows: int(h.written)}
	if sum == nil {
		ran.Problem = "it failed"
	} else {
		c := &sum.Counts
		if err := h.block(format.EndedBlock, recorded.Ended{Why: sum.Why, Hits: c.Hits, Shown: sum.Rows, False: c.False,
			Undecided: c.Undecided, Nil: c.Nil, Refused: c.Refused, Lost: c.Lost, Open: c.Open, CPU: sum.Cost.CPU,
			Length: sum.Cost.Length, Tables: sum.Tables}); err != nil {
			return nil, err
		}
	}
	head := h.header(nil, nil)
	head.Recipes, head.Counts, head.Complete = []Ran{ran}, h.total, true
	return head, h.file.Close(head)
}

package recorded

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"ri/attach"
	"ri/record/format"
)

// ErrNoHits: a recording of what instruments looked at, and not of what passed by.
var ErrNoHits = errors.New("no hits are in the recording")

// Trace is what was traced: the block format.TraceBlock, as JSON.
type Trace struct {
	Recipe string  `json:"recipe,omitempty"` // "": it was ri trace
	Probes []Probe `json:"probes"`
	Stack  int     `json:"stack,omitempty"` // frames with each hit
	Limits Limits  `json:"limits"`
}

// Probe is one of what was traced.
type Probe struct {
	Name      string   `json:"name,omitempty"` // of its hits
	Functions []string `json:"functions"`
	All       bool     `json:"all,omitempty"` // arguments, and results: what was shown wasn't said
	Show      []Shown  `json:"show,omitempty"`
	Returns   bool     `json:"returns,omitempty"`
	Histogram bool     `json:"histogram,omitempty"` // its calls were only counted
	// When are the conditions, without those that have texts in them.
	When []string `json:"when,omitempty"`
}

// Shown is a Go expression, and what it is called in a row.
type Shown struct {
	Name string `json:"name"`
	Expr string `json:"expr"`
}

// Limits are how much hits took along.
type Limits struct {
	Depth int `json:"depth"`
	Text  int `json:"text"`
	Elems int `json:"elems"`
}

// Hit is what a recording says of a hit: a part format.Hit, as JSON.
type Hit struct {
	Probe     int           `json:"probe"` // of Trace.Probes
	Time      time.Time     `json:"time"`
	Nanotime  int64         `json:"nanotime"`
	Goroutine uint64        `json:"goroutine,omitempty"`
	Func      string        `json:"func"`
	Into      string        `json:"into,omitempty"` // of an inlined call: the function that has it
	Took      time.Duration `json:"took"`           // of Returned
	Returned  bool          `json:"returned,omitempty"`
	Ended     string        `json:"ended,omitempty"`  // why there is no return
	SoFar     time.Duration `json:"so_far,omitempty"` // of a call that went on when the trace ended
	Undecided string        `json:"undecided,omitempty"`
	Stack     []string      `json:"stack,omitempty"` // innermost first
	Entry     []Root        `json:"entry,omitempty"`
	Return    []Root        `json:"return,omitempty"`

	AtEntry, AtReturn Side `json:"-"`
}

// Root is a value that a hit took along.
type Root struct {
	Name string `json:"name"`
	Type string `json:"type,omitempty"`
	Addr uint64 `json:"addr,omitempty"` // in the hit's memory
	Why  string `json:"why,omitempty"`  // there is none
	Nil  bool   `json:"nil,omitempty"`  // as a pointer on the way to it was nil
}

// Side is what was taken along at one end of a call.
type Side struct {
	Memory *HitMemory
	// Kept and Typed are as the blocks of these names, of this memory.
	Kept, Typed []byte
}

// Ended is how a trace ended: the block format.EndedBlock, as JSON.
type Ended struct {
	Why       string        `json:"why,omitempty"`
	Hits      uint64        `json:"hits"`
	Shown     uint64        `json:"shown"`
	False     uint64        `json:"false"`
	Undecided uint64        `json:"undecided"`
	Nil       uint64        `json:"nil"`
	Refused   uint64        `json:"refused"`
	Lost      uint64        `json:"lost"`
	Open      uint64        `json:"open"`
	CPU       time.Duration `json:"cpu_ns"`
	Length    time.Duration `json:"length_ns"`
	Tables    []Table       `json:"tables,omitempty"` // of probes with Histogram
}

// Table is how many calls of a function took how long: bucket i has those of 2^i nanoseconds or more.
type Table struct {
	Probe   int           `json:"probe"` // of Trace.Probes
	Func    string        `json:"func"`
	Count   uint64        `json:"count"`
	Total   time.Duration `json:"total_ns"`
	Buckets [64]uint64    `json:"buckets"`
}

// Trace says what was traced. Errors: ErrNoHits, format.ErrMalformed.
func (r *Recording) Trace() (*Trace, error) {
	t := &Trace{}
	if err := r.json(format.TraceBlock, t); err != nil {
		return nil, err
	}
	return t, nil
}

// Ended says how the trace ended. Errors: those of Trace; ErrNoHits of a recording that was cut short.
func (r *Recording) Ended() (*Ended, error) {
	e := &Ended{}
	if err := r.json(format.EndedBlock, e); err != nil {
		return nil, err
	}
	return e, nil
}

func (r *Recording) json(block string, to any) error {
	if !r.file.Has(block) {
		return fmt.Errorf("%s: %w: ri trace -o FILE and ri run RECIPE -o FILE keep them", r.Describe(), ErrNoHits)
	}
	text, err := r.file.Named(block)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("%s: its block %s: %v: %w", r.path, block, err, format.ErrMalformed)
	}
	return nil
}

// Hits gives the hits, in the order in which they came. A hit is good until the next one.
//
// Errors: format.ErrMalformed, errors of the file. They end it.
func (r *Recording) Hits() iter.Seq2[*Hit, error] {
	return func(yield func(*Hit, error) bool) {
		constants := NewConstants()
		for _, b := range r.file.Blocks() {
			if b.Name != format.HitsBlock {
				continue
			}
			data, err := r.file.Read(b)
			if err != nil {
				yield(nil, err)
				return
			}
			list, err := ReadHits(data, constants)
			if err != nil {
				yield(nil, fmt.Errorf("%s: its block at %d: %w", r.path, b.Offset, err))
				return
			}
			for _, h := range list {
				if !yield(h, nil) {
					return
				}
			}
		}
	}
}

// ReadHits decodes a block of hits. Those of the blocks before it may have had constants that it leads to. Errors:
// format.ErrMalformed.
func ReadHits(block []byte, constants *Constants) (list []*Hit, err error) {
	parts, err := format.ReadParts(block)
	if err != nil {
		return nil, err
	}
	var tokens []format.Memory
	var side *Side
	for _, p := range parts {
		var runs []format.Memory
		switch p.Kind {
		case format.Constants, format.Replaced, format.AtEntry, format.AtReturn:
			if runs, err = format.ReadMemory(p.Data); err != nil {
				return nil, err
			}
		}
		switch p.Kind {
		case format.Constants:
			for _, run := range runs {
				if err := constants.take(run); err != nil {
					return nil, err
				}
			}
			continue
		case format.Replaced:
			tokens = append(tokens, runs...)
			continue
		case format.Hit:
			h := &Hit{}
			if err := json.Unmarshal(p.Data, h); err != nil {
				return nil, fmt.Errorf("what it says of a hit: %v: %w", err, format.ErrMalformed)
			}
			list, side = append(list, h), nil
			continue
		}
		if len(list) == 0 || side == nil && (p.Kind == format.KeptTexts || p.Kind == format.TypedBytes) {
			return nil, fmt.Errorf("a part of kind %d that belongs to no hit: %w", p.Kind, format.ErrMalformed)
		}
		switch h := list[len(list)-1]; p.Kind {
		case format.AtEntry:
			side = &h.AtEntry
			side.Memory = &HitMemory{runs: runs}
		case format.AtReturn:
			side = &h.AtReturn
			side.Memory = &HitMemory{runs: runs}
		case format.KeptTexts:
			side.Kept = p.Data
		case format.TypedBytes:
			side.Typed = p.Data
		}
	}
	slices.SortStableFunc(tokens, func(a, b format.Memory) int { return cmp.Compare(a.Addr, b.Addr) })
	for _, h := range list {
		for _, s := range []*Side{&h.AtEntry, &h.AtReturn} {
			if s.Memory != nil {
				s.Memory.tokens, s.Memory.constants = tokens, constants
			}
		}
	}
	return list, nil
}

// HitMemory is what a hit took along, as memory: what isn't there is an error.
type HitMemory struct {
	runs, tokens []format.Memory // in order of address
	constants    *Constants      // nil: there is none
}

var (
	_ Memory        = (*HitMemory)(nil)
	_ attach.Sparse = (*HitMemory)(nil)
)

// Runs are the memory, without the program's own and without tokens. They are not to be changed.
func (m *HitMemory) Runs() []format.Memory { return m.runs }

// Tokens are what stands for texts, of all hits of a block. They are not to be changed.
func (m *HitMemory) Tokens() []format.Memory { return m.tokens }

func find(list []format.Memory, addr uint64) *format.Memory {
	i, _ := slices.BinarySearchFunc(list, addr, func(r format.Memory, addr uint64) int {
		if r.Addr+uint64(r.Size) <= addr {
			return -1
		}
		return 1
	})
	if i < len(list) && list[i].Addr <= addr {
		return &list[i]
	}
	return nil
}

func (m *HitMemory) run(addr uint64) *format.Memory {
	if r := find(m.runs, addr); r != nil {
		return r
	}
	return find(m.tokens, addr)
}

// ReadMemory implements attach.Memory.
func (m *HitMemory) ReadMemory(p []byte, addr uint64) (n int, err error) {
	for n < len(p) {
		at := addr + uint64(n)
		switch r := m.run(at); {
		case r != nil && r.Kind == format.Denied:
			return n, &absent{addr: at, denied: true}
		case r != nil:
			n += copy(p[n:], r.Data[at-r.Addr:])
		default:
			k := m.constants.read(p[n:], at)
			if n += k; k == 0 {
				return n, &notTaken{at}
			}
		}
	}
	return n, nil
}

// notTaken is the error of a byte that a hit didn't take along.
type notTaken struct{ addr uint64 }

func (e *notTaken) Error() string {
	return fmt.Sprintf("address %#x is not in the recording: the hit didn't take it along", e.addr)
}

func (e *notTaken) Is(target error) bool {
	return target == attach.ErrNotRecorded || target == attach.ErrNotMapped
}

// ReadHoles implements attach.Sparse.
func (m *HitMemory) ReadHoles(p []byte, addr uint64) error {
	clear(p)
	for n := 0; n < len(p); {
		k, _ := m.ReadMemory(p[n:], addr+uint64(n))
		n += max(k, 1)
	}
	return nil
}

// Direct implements Memory.
func (m *HitMemory) Direct(addr uint64, n int) []byte {
	r := m.run(addr)
	if r == nil || n <= 0 || r.Kind == format.Denied {
		return nil
	}
	if b := r.Data[addr-r.Addr:]; len(b) >= n {
		return b[:n:n]
	}
	return nil
}

// IsToken implements Memory.
func (m *HitMemory) IsToken(addr uint64) bool {
	r := m.run(addr)
	return r != nil && r.Kind == format.Tokens
}

// Constants is the program's own memory, as far as hits led there.
type Constants struct{ pages map[uint64]*constantPage }

// NewConstants has none.
func NewConstants() *Constants { return &Constants{pages: map[uint64]*constantPage{}} }

type constantPage struct {
	data [attach.PageSize]byte
	has  [attach.PageSize]bool
}

// maxConstants bounds the pages that are held, 8 KiB each.
const maxConstants = 1 << 13

func (c *Constants) take(run format.Memory) error {
	if run.Kind != format.Data {
		return nil
	}
	for i, b := range run.Data {
		addr := run.Addr + uint64(i)
		page := c.pages[addr/attach.PageSize]
		if page == nil {
			if len(c.pages) == maxConstants {
				return fmt.Errorf("hits lead to more than %d pages of the program's own: %w", maxConstants, format.ErrMalformed)
			}
			page = &constantPage{}
			c.pages[addr/attach.PageSize] = page
		}
		page.data[addr%attach.PageSize], page.has[addr%attach.PageSize] = b, true
	}
	return nil
}

// read gives as much as there is at an address, in one page.
func (c *Constants) read(p []byte, addr uint64) (n int) {
	if c == nil {
		return 0
	}
	page := c.pages[addr/attach.PageSize]
	if page == nil {
		return 0
	}
	for at := addr % attach.PageSize; n < len(p) && at < attach.PageSize && page.has[at]; at++ {
		p[n] = page.data[at]
		n++
	}
	return n
}

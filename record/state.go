package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"ri/attach"
	"ri/attach/recorded"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/record/format"
	"ri/record/redact"
	"ri/record/seal"
	"ri/symbols"
	"ri/symbols/sparse"
	"ri/values/heap"
)

// Options says how a recording is made.
type Options struct {
	Policy *redact.Policy
	Key    [redact.KeySize]byte // of the tokens
	// Kept says that the key is kept somewhere, so that other recordings have the same tokens.
	KeyKept bool
	Look    looks.Options
	// WholeSymbols has all that the executable says of itself travel along, not only what was asked of it.
	WholeSymbols bool
	// Heap records all that is reachable.
	Heap    bool
	Version string // of ri
	// Recipients are those who may read the file; if there are any, it is encrypted.
	Recipients seal.Recipients
}

// Header is the beginning of a recording's file.
type Header struct {
	RI       string      `json:"ri"` // its version
	Made     time.Time   `json:"made"`
	Program  Program     `json:"program"`
	Recipes  []Ran       `json:"recipes"`
	Looks    int         `json:"looks"` // 2 where an instrument looked a second time
	Stop     Stop        `json:"stop"`
	Policy   PolicyNamed `json:"policy"`
	Counts   Counts      `json:"counts"`
	Complete bool        `json:"complete"` // false until the file was written to its end
	Notes    []string    `json:"notes,omitempty"`
}

// Program says what was recorded.
type Program struct {
	Executable string      `json:"executable"`
	Go         string      `json:"go"`
	Module     string      `json:"module"`
	Version    string      `json:"version"`
	BuildID    string      `json:"build_id"`
	Modules    [][3]string `json:"modules,omitempty"` // path, version, what replaces it
	PID        int         `json:"pid"`
}

// Ran is a recipe that was recorded. Its parameters are not kept.
type Ran struct {
	Recipe   string `json:"recipe"`
	Rows     int    `json:"rows"`
	Findings int    `json:"findings"`
	Problem  string `json:"problem,omitempty"` // why it didn't end well
}

// Stop is what the look cost the process.
type Stop struct {
	Stops   int           `json:"stops"`
	Stopped time.Duration `json:"stopped_ns"`
}

// PolicyNamed says by which rules was kept what is kept.
type PolicyNamed struct {
	Rules       int  `json:"rules"`
	DenyNumbers bool `json:"deny_numbers"`
	KeyKept     bool `json:"key_kept"`
}

// Recorder makes recordings of a session's target.
type Recorder struct {
	session   *looks.Session
	opt       Options
	variables map[uint64]string // package variables by address
	// the lowest and the highest of these addresses
	variablesFrom, variablesTo uint64
	excluded                   []sparse.Range // constants that are not kept, by link-time address
	count                      uint64         // where goroutineCount lies; 0 if it isn't known
	// heard is what the last recording's instruments saw. What the session keeps of the program's own variables and
	// constants isn't read again for the next one.
	heard *Sight
}

// New makes a recorder. It is made before the session looks: what is asked of the executable from now on travels along.
func New(s *looks.Session, opt Options) *Recorder {
	if opt.Policy == nil {
		opt.Policy = &redact.Policy{}
	}
	r := &Recorder{session: s, opt: opt, variables: map[uint64]string{}, excluded: s.File.LinkerStrings()}
	for _, v := range s.File.AllVars() {
		addr := v.Addr + s.Bias
		r.variables[addr] = v.Name
		if len(r.variables) == 1 {
			r.variablesFrom = addr
		}
		r.variablesFrom, r.variablesTo = min(r.variablesFrom, addr), max(r.variablesTo, addr)
		if v.Name == goroutineCount {
			r.count = v.Addr + s.Bias
		}
	}
	s.File.Track()
	return r
}

// State records what plans' instruments look at, in one instant, and writes it to a file. The file is the caller's: it
// is written from its beginning, and has no end mark unless State returns without an error. It may be called again, for
// a series.
//
// The results are those of the instruments, as on the process: not redacted. whole has what the look cost.
func (r *Recorder) State(ctx context.Context, plans []*looks.Plan, file *os.File,
	to rows.Listener) (h *Header, results []*rows.Result, whole *rows.Result, err error) {
	m := &maker{Recorder: r, ctx: ctx, to: to, disk: file, sight: r.heard, plans: plans}
	results, whole, err = r.session.Together(ctx, plans, r.opt.Look, to, m)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := errors.Join(m.err, whole.Err); err != nil {
		return nil, results, whole, err
	}
	if m.looks == 0 { // a limit was hit before there was anything to record
		return nil, results, whole, rows.Partial(fmt.Errorf("nothing was recorded: %s", strings.Join(whole.Partial, "; ")))
	}
	header, err := m.close(results, whole)
	return header, results, whole, err
}

// maker hears what is looked at, and writes it.
type maker struct {
	*Recorder
	ctx  context.Context
	to   rows.Listener // nil: nobody wants to know how far it is
	disk *os.File
	file *outputFile

	constants []attach.Mapping // the executable's own, that nobody can write to
	mapped    []attach.Mapping

	sight   *Sight
	look    *looks.Look
	began   time.Time // the step that is under way
	writer  *format.Writer
	painter *painter
	plans   []*looks.Plan
	shipped symbols.Shipped // of the executable
	looks   int             // those that are over
	answers []*heap.Answers // of the heap, in each look
	err     error
}

// Begin implements looks.Observer.
func (m *maker) Begin(look *looks.Look) error {
	m.look, m.looks, m.err = look, 0, nil
	if err := m.readMappings(); err != nil {
		return err
	}
	m.listen(m.sight.static(m.image()))
	m.answers = []*heap.Answers{heap.NoteAnswers(m.unheard)}
	if m.count != 0 {
		if _, err := look.Cache.Slice(m.count, 8); err == nil { // else the next copy has it
			m.sight.Bits(m.count, 8)
		}
	}
	return nil
}

// readMappings reads what is mapped, and what of it is the executable's own.
func (m *maker) readMappings() error {
	mapped, err := m.session.Target.Mappings()
	if err != nil {
		return fmt.Errorf("what is mapped in %s: %w", m.session.Target.Describe(), err)
	}
	m.mapped = mapped
	m.constants = m.constants[:0]
	for _, x := range mapped {
		if !x.Write && x.Read && x.Path != "" && filepath.Base(x.Path) == filepath.Base(m.session.Target.ExecutablePath()) {
			m.constants = append(m.constants, x)
		}
	}
	return nil
}

// goroutineCount is what Delve finds goroutines by, besides runtime.allgs (pkg/proc/variables.go), in a core that is
// made of a recording; ri itself doesn't read it.
const goroutineCount = "runtime.allglen"

// image is where the executable lies, with its variables.
func (m *maker) image() (start, end uint64) {
	name := filepath.Base(m.session.Target.ExecutablePath())
	for _, x := range m.mapped {
		switch {
		case x.Path != "" && filepath.Base(x.Path) == name:
			if end == 0 {
				start = x.Start
			}
			end = x.End
		case x.Path == "" && x.Start == end && x.Write: // variables without a value
			end = x.End
		}
	}
	return start, end
}

func (m *maker) listen(sight *Sight) {
	m.sight = sight
	m.look.Cache.SetWitness(m.sight.Read)
	m.look.Space.SetWitness(m.sight)
}

// Answers implements looks.Observer: where the heap itself is not recorded, what is asked of it is.
func (m *maker) Answers() *heap.Answers {
	if m.opt.Heap {
		return nil
	}
	return m.answers[len(m.answers)-1]
}

// unheard runs what walks the heap. Constants are heard all the same, since what was read there is remembered.
func (m *maker) unheard(f func()) {
	m.look.Space.SetWitness(nil)
	m.look.Cache.SetWitness(func(addr uint64, n int) {
		if within(m.constants, addr, uint64(n)) {
			m.sight.Read(addr, n)
		}
	})
	defer m.listen(m.sight)
	f()
}

func (m *maker) deaf() {
	m.look.Cache.SetWitness(nil)
	m.look.Space.SetWitness(nil)
}

// Leaving implements looks.Observer: a look is over.
func (m *maker) Leaving(*looks.Look) {
	if m.err == nil {
		m.err = m.capture()
	}
	m.deaf()
}

// Again implements looks.Observer.
func (m *maker) Again(*looks.Look) {
	m.listen(NewSight())
	m.answers = append(m.answers, heap.NoteAnswers(m.unheard))
}

// End implements looks.Observer.
func (m *maker) End(*looks.Look) error {
	if m.err == nil {
		m.err = m.capture()
	}
	m.deaf()
	return nil
}

// lookAtThreads has the threads' stacks recorded, as far as they can be told: a debugger that opens an exported core
// begins there, and any instrument may.
func (m *maker) lookAtThreads() {
	threads, _ := m.look.Space.OSThreads()
	for _, t := range threads {
		if m.look.Context().Err() != nil {
			return
		}
		t.Stack()
	}
}

// heapGCPercent is how much garbage there may be beside what is held while the heap is recorded.
const heapGCPercent = 40

// capture writes what was looked at. What is known besides memory comes first, so that a file that is cut short answers
// from the memory that is there.
func (m *maker) capture() error {
	if m.opt.Heap && m.looks == 0 && m.look.WantBulk() { // else the next copy has all
		// There is the copy, and what is left over shall not be as much again: most of what is held has no pointers.
		defer debug.SetGCPercent(debug.SetGCPercent(heapGCPercent))
		m.began = time.Now()
		if _, err := heap.Build(m.look.Context(), m.look.Space, m.progress); err != nil {
			return err
		}
		debug.FreeOSMemory()
	}
	m.lookAtThreads()
	m.deaf()
	m.looks++
	if m.looks == 1 {
		m.heard = m.sight.static(m.image())
	}
	now := m.lookNow()
	m.began = time.Now()
	if m.look.Rehearses() { // what would be written is thrown away: so it isn't made
		return newPainter(m.memory(), m.opt.Policy, nil, newOutput(nil)).touch(m.sight)
	}
	if m.looks == 1 {
		if err := m.begin(); err != nil {
			return err
		}
	}
	return m.painter.paint(m.sight, m.looks, func() error {
		if m.looks == 1 {
			if err := m.symbols(); err != nil {
				return err
			}
		}
		return m.block(format.LookBlock(m.looks), now)
	})
}

// block writes a block of JSON.
func (m *maker) block(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return m.writer.Block(name, text, 0, 0)
}

// progress says how far it is, of what lasts.
func (m *maker) progress(done, total int64, what string) {
	if m.to != nil && time.Since(m.began) > time.Second {
		m.to.Progress(done, total, what)
	}
}

// lookNow is what is known of a look besides memory.
func (m *maker) lookNow() recorded.Look {
	l := recorded.Look{Written: time.Now(), Nanotime: m.look.Space.Nanotime()}
	if at := m.session.Target.Written(); m.looks == 1 && !at.IsZero() {
		l.Written = at
	}
	if m.look.Threads() != nil { // none are left of a process that dies; of others they may not be known
		l.Threads = []recorded.Thread{}
	}
	for _, t := range m.look.Threads() {
		l.Threads = append(l.Threads, recorded.Thread{ID: t.ID, InnerID: t.InnerID, Frame: t.Regs.Frame()})
	}
	if a, ok := m.session.Target.(attach.Accounted); ok {
		if u, err := a.Usage(); err == nil {
			l.Usage = &u
		}
	}
	return l
}

// begin begins the file.
func (m *maker) begin() error {
	m.shipped = symbols.Shipped{}
	var err error
	if m.file, err = begin(m.disk, m.opt.Recipients, m.header(nil, nil)); err != nil {
		return err
	}
	m.writer = m.file.Writer
	m.painter = newPainter(m.memory(), m.opt.Policy, redact.NewTokens(m.opt.Key), newOutput(m.writer))
	return m.block(format.ProcessBlock, m.process())
}

func (m *maker) header(results []*rows.Result, whole *rows.Result) *Header {
	f := m.session.File
	h := &Header{RI: m.opt.Version, Made: time.Now().UTC().Truncate(time.Second), Looks: max(m.looks, 1),
		Program: Program{Executable: filepath.Base(m.session.Target.ExecutablePath()), Go: f.GoVersion(),
			BuildID: f.BuildID(),
			Modules: f.Modules(), PID: m.session.Target.PID()},
		Policy: PolicyNamed{Rules: len(m.opt.Policy.Rules), DenyNumbers: m.opt.Policy.DenyNumbers, KeyKept: m.opt.KeyKept}}
	h.Program.Module, h.Program.Version = f.MainModule()
	if whole == nil {
		for _, p := range m.plans {
			h.Recipes = append(h.Recipes, Ran{Recipe: p.Recipe.Name, Problem: "it had not ended"})
		}
	}
	for _, r := range results {
		ran := Ran{Recipe: r.Recipe, Rows: len(r.Rows), Findings: len(r.Findings)}
		switch {
		case r.Err != nil:
			ran.Problem = "it failed" // an error's text may have contents
		case len(r.Partial) > 0:
			ran.Problem = "a limit was hit"
		}
		h.Recipes = append(h.Recipes, ran)
	}
	if whole != nil {
		h.Stop = Stop{Stops: whole.Stats.Stops, Stopped: whole.Stats.Stopped}
		h.Complete = true
	}
	if m.painter != nil {
		h.Counts = m.painter.counts
	}
	return h
}

// close writes what is left: what later looks asked of the executable, and the end mark.
func (m *maker) close(results []*rows.Result, whole *rows.Result) (*Header, error) {
	if m.looks > 1 {
		if err := m.symbols(); err != nil {
			return nil, err
		}
	}
	if err := m.heapAnswers(); err != nil {
		return nil, err
	}
	h := m.header(results, whole)
	return h, m.file.Close(h)
}

package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ri/attach"
	"ri/attach/recorded"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/record/format"
	"ri/record/redact"
)

// Options says how a recording is made.
type Options struct {
	Policy *redact.Policy
	Key    [redact.KeySize]byte // of the tokens
	// Kept says that the key is kept somewhere, so that other recordings have the same tokens.
	KeyKept bool
	Look    looks.Options
	Version string // of ri
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

// State records what plans' instruments look at, in one instant, and writes it to a file. The file is the caller's: it is written
// from its beginning, and has no end mark unless State returns without an error.
//
// The results are those of the instruments, as on the process: not redacted.
func State(ctx context.Context, s *looks.Session, plans []*looks.Plan, file *os.File, opt Options,
	to rows.Listener) (*Header, []*rows.Result, *rows.Result, error) {
	if opt.Policy == nil {
		opt.Policy = &redact.Policy{}
	}
	m := &maker{session: s, file: file, opt: opt}
	m.prepare()
	results, whole, err := s.Together(ctx, plans, opt.Look, to, m)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := errors.Join(m.err, whole.Err); err != nil {
		return nil, results, whole, err
	}
	header, err := m.close(results, whole)
	return header, results, whole, err
}

// maker hears what is looked at, and writes it.
type maker struct {
	session *looks.Session
	file    *os.File
	opt     Options

	constants []attach.Mapping // the executable's own, that nobody can write to
	mapped    []attach.Mapping
	variables map[uint64]string
	excluded  map[string]bool

	sight   *Sight
	look    *looks.Look
	second  bool // a script looks a second time
	writer  *format.Writer
	painter *painter
	threads []recorded.Thread
	moment  time.Time
	nano    int64
	err     error
}

func (m *maker) prepare() {
	m.variables = map[uint64]string{}
	for _, v := range m.session.File.AllVars() {
		m.variables[v.Addr+m.session.Bias] = v.Name
	}
	m.excluded = setByLinker(m.session.File.BuildSettings())
}

// setByLinker are the values that -ldflags -X put into variables: constants of the program, and of one build only.
func setByLinker(settings [][2]string) map[string]bool {
	out := map[string]bool{}
	for _, s := range settings {
		if s[0] != "-ldflags" {
			continue
		}
		for field := range strings.FieldsSeq(strings.NewReplacer("'", " ", `"`, " ").Replace(s[1])) {
			if _, value, ok := strings.Cut(strings.TrimPrefix(field, "-X="), "="); ok && strings.Contains(field, ".") {
				out[value] = true
			}
		}
	}
	return out
}

// Begin implements looks.Observer.
func (m *maker) Begin(look *looks.Look) error {
	m.look, m.second, m.err = look, false, nil
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
	m.listen()
	return nil
}

func (m *maker) listen() {
	m.sight = NewSight()
	m.look.Cache.Witness = m.sight.Read
	m.look.Space.SetWitness(m.sight.Typed)
}

func (m *maker) deaf() {
	m.look.Cache.Witness = nil
	m.look.Space.SetWitness(nil)
}

// Leaving implements looks.Observer: the first look is over.
func (m *maker) Leaving(*looks.Look) {
	if m.err == nil && !m.second {
		m.err = m.capture()
	}
	m.second = true
	m.deaf()
}

// Again implements looks.Observer.
func (m *maker) Again(*looks.Look) { m.listen() }

// End implements looks.Observer.
func (m *maker) End(*looks.Look) error {
	if m.err == nil && !m.second {
		m.err = m.capture()
	}
	m.deaf()
	return nil
}

// capture writes what was looked at.
func (m *maker) capture() error {
	m.deaf()
	if err := m.file.Truncate(0); err != nil {
		return err
	}
	var err error
	if m.writer, err = format.NewWriter(m.file, m.header(nil, nil)); err != nil {
		return err
	}
	m.moment, m.nano = time.Now(), m.look.Space.Nanotime()
	m.threads = m.threads[:0]
	for _, t := range m.look.Threads() {
		m.threads = append(m.threads, recorded.Thread{ID: t.ID, InnerID: t.InnerID, Frame: t.Regs.Frame()})
	}
	m.painter = newPainter(Memory{
		Read: func(addr uint64, n int) ([]byte, bool) {
			b, err := m.look.Cache.Slice(addr, n)
			return b, err == nil
		},
		Constant: func(addr uint64, n int) bool { return within(m.constants, addr, uint64(n)) },
		Address:  func(word uint64) bool { return within(m.mapped, word, 1) },
		Variable: func(addr uint64) string { return m.variables[addr] },
		Tokens:   m.gap(),
	}, m.opt.Policy, redact.NewTokens(m.opt.Key), m.emit)
	m.painter.exclude = m.excluded
	return m.painter.paint(m.sight)
}

func within(list []attach.Mapping, addr, n uint64) bool {
	i, _ := slices.BinarySearchFunc(list, addr, func(x attach.Mapping, addr uint64) int {
		if x.End <= addr {
			return -1
		}
		return 1
	})
	return i < len(list) && list[i].Start <= addr && addr+n <= list[i].End && addr+n >= addr
}

// tokenRoom is how much address space tokens may take, in bytes.
const tokenRoom = 1 << 40

// gap is where tokens lie: the highest hole of the address space that has room for them.
func (m *maker) gap() uint64 {
	end := uint64(1)<<47 - 1<<30
	for _, x := range slices.Backward(m.mapped) {
		if x.Start > end { // the kernel's own pages
			continue
		}
		if x.End < end && end-x.End >= 2*tokenRoom {
			return (x.End + tokenRoom/2) &^ (1<<20 - 1)
		}
		end = min(end, x.Start)
	}
	return 1 << 45
}

func (m *maker) emit(name string, runs []format.Memory) error {
	last := runs[len(runs)-1]
	return m.writer.Block(name, format.AppendMemory(nil, runs), runs[0].Addr, last.Addr+uint64(last.Size))
}

func (m *maker) header(results []*rows.Result, whole *rows.Result) *Header {
	f := m.session.File
	h := &Header{RI: m.opt.Version, Made: time.Now().UTC().Truncate(time.Second), Looks: 1,
		Program: Program{Executable: filepath.Base(m.session.Target.ExecutablePath()), Go: f.GoVersion(), BuildID: f.BuildID(),
			Modules: f.Modules(), PID: m.session.Target.PID()},
		Policy: PolicyNamed{Rules: len(m.opt.Policy.Rules), DenyNumbers: m.opt.Policy.DenyNumbers, KeyKept: m.opt.KeyKept}}
	h.Program.Module, h.Program.Version = f.MainModule()
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

// close writes what is left: what is known of the process, and the end mark.
func (m *maker) close(results []*rows.Result, whole *rows.Result) (*Header, error) {
	process, err := m.process()
	if err != nil {
		return nil, err
	}
	if err := m.writer.Block(format.ProcessBlock, process, 0, 0); err != nil {
		return nil, err
	}
	h := m.header(results, whole)
	return h, m.writer.Close(h)
}

func (m *maker) process() ([]byte, error) {
	t := m.session.Target
	p := recorded.Process{PID: t.PID(), Executable: filepath.Base(t.ExecutablePath()), Machine: uint16(m.session.File.Arch().Machine),
		Entry: t.Entry(), Ends: t.Ends(), Written: m.moment, Nanotime: m.nano, Threads: m.threads}
	if at := t.Written(); !at.IsZero() {
		p.Written = at
	}
	for _, x := range m.mapped {
		x.Path = ""
		p.Mappings = append(p.Mappings, x)
	}
	if a, ok := t.(attach.Accounted); ok {
		if u, err := a.Usage(); err == nil {
			p.Usage = &u
		}
	}
	if c, ok := t.(attach.Connected); ok {
		if list, err := c.Descriptors(); err == nil {
			p.Files = m.descriptors(list)
		}
	}
	return json.Marshal(p)
}

// descriptors are what is kept of them: paths and peers are texts of elsewhere.
func (m *maker) descriptors(list []attach.Descriptor) []attach.Descriptor {
	tokens := redact.NewTokens(m.opt.Key)
	hide := func(s *string) { *s = string(tokens.Of([]byte(*s))) }
	for i := range list {
		d := &list[i]
		hide(&d.Path)
		hide(&d.Err)
		if d.Socket != nil {
			socket := *d.Socket
			hide(&socket.Local)
			hide(&socket.Remote)
			d.Socket = &socket
		}
	}
	return list
}

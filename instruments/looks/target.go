package looks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ri/attach"
	"ri/attach/core"
	"ri/attach/proc"
	"ri/attach/process"
	"ri/attach/recorded"
	"ri/files"
	"ri/instruments/host"
	"ri/instruments/rows"
	"ri/outside"
	"ri/record/format"
	"ri/record/seal"
	"ri/symbols"
	"ri/trace"
	"ri/values"
)

// TargetChoice says what to look at, as a person typed it.
type TargetChoice struct {
	PID       string
	Core, Exe string
	Recording string
	Identity  string // file of the key that opens an encrypted recording
	// Symbols is the separate debug file of a stripped program, or an unstripped build of the same source.
	Symbols    string
	Debuginfod bool // servers of $DEBUGINFOD_URLS may be asked for a debug file
}

// Given says whether any target was named.
func (c TargetChoice) Given() bool { return c.PID != "" || c.Core != "" || c.Recording != "" }

// Still names what holds still: "a core", "a recording".
func (c TargetChoice) Still() string {
	if c.Recording != "" {
		return "a recording"
	}
	return "a core"
}

// Check is what can be wrong without looking.
func (c TargetChoice) Check() error {
	switch {
	case c.PID != "" && c.Core != "", c.PID != "" && c.Recording != "", c.Core != "" && c.Recording != "":
		return rows.Usagef("-p, -c and -r exclude each other: look at a process, at a core or at a recording")
	case c.Exe != "" && c.Core == "" && c.Recording == "":
		return rows.Usagef("--exe goes with -c CORE: a process's executable is known")
	}
	if c.Symbols != "" && c.PID == "" && c.Core == "" {
		return rows.Usagef("--symbols goes with a target: -p PID or -c CORE")
	}
	if pid, err := strconv.Atoi(c.PID); err == nil && pid <= 0 {
		return rows.Usagef("-p %s: a pid is a positive number (ri ps lists the Go processes here)", rows.QuoteName(c.PID))
	}
	return nil
}

// Need is Check, and that there is a target at all.
func (c TargetChoice) Need() error {
	if err := c.Check(); err != nil {
		return err
	}
	if !c.Given() {
		return rows.Usagef("no target: name a process with -p PID (ri ps lists the Go processes here), a core with -c " +
			"CORE --exe EXE, or a recording with -r FILE")
	}
	return nil
}

// Open opens the process or core, without a stop.
func (c TargetChoice) Open() (attach.Target, error) {
	if c.Core != "" {
		t, err := core.Open(c.Core, c.Exe)
		return t, rows.Refused(err)
	}
	if c.Recording != "" {
		with, err := seal.ReadIdentities(c.Identity)
		if err != nil {
			return nil, rows.Usage(fmt.Errorf("--identity: %w", err))
		}
		t, err := recorded.Open(c.Recording, with)
		return t, rows.Refused(err)
	}
	pid, err := Find(c.PID)
	if err != nil {
		return nil, err
	}
	t, err := process.Open(pid)
	return t, rows.Refused(err)
}

// Find gives the pid of the Go process that a text names, as proc.Find does.
func Find(text string) (int, error) {
	pid, err := proc.Find(text)
	if errors.Is(err, proc.ErrSeveral) {
		return 0, rows.Usage(fmt.Errorf("-p %s: %w", rows.QuoteName(text), err))
	} else if err != nil {
		return 0, rows.Refused(fmt.Errorf("-p %s: %w (ri ps lists the Go processes here)", rows.QuoteName(text), err))
	}
	return pid, nil
}

// Options says how a target is looked at: flags, which override what the recipe says.
type Options struct {
	View       string
	MaxStop    time.Duration // 0: the recipe's
	StopGiven  bool          // MaxStop was said, even if 0
	MaxTime    time.Duration // of the script, stopped or not
	MaxRows    int           // that it may give, whatever the recipe says; 0: as many as the recipe says
	MostStop   time.Duration // for which the target may be held in any minute, whatever is asked for; 0: LongestStop
	Wait       time.Duration // for another tracer to let the target go
	Write, Yes bool
	Ask        Asker // who is asked before a change, unless Yes; nil: nobody can be
	Precopy    bool  // copy all memory, most of it before the stop
	// PrecopyWelcome has copies of all memory, where they are wanted, made as with Precopy.
	PrecopyWelcome bool
	Spool          string       // folder for copies of all memory
	Allow          []string     // what may be reached outside of the process: see package outside
	Site           outside.Site // by which that is reached by TLS; nil: it isn't
	Journal        string       // the file that changes are written down in; "": the user's own
	Label          string       // of what is changed, in the journal
	DryRun         bool         // only show what would be changed
	// Budget is the most CPU time that what is traced may cost, in cores; 0: trace.DefaultBudget.
	Budget float64
	// Alone says that no other program may be looked into, to tell who waits at the other end of a connection.
	Alone      bool
	IgnoreLock bool // read what a recipe's lock guards, whoever holds it
}

// MayPrecopy says that a copy of all memory may be made while the process runs.
func (l Options) MayPrecopy() bool { return l.Precopy || l.PrecopyWelcome }

const LongestStop = time.Hour

// Check is what can be wrong without looking.
func (l Options) Check() error {
	switch attach.ViewKind(l.View) {
	case "", attach.Live, attach.Snapshot, attach.Stopped:
	default:
		return rows.Usagef("--view %s: a view is live, snapshot or stopped%s", rows.QuoteName(l.View),
			rows.DidYouMean(l.View, []string{"live", "snapshot", "stopped"}))
	}
	if l.Precopy && l.View != "" && l.View != string(attach.Snapshot) {
		return rows.Usagef("--precopy goes with --view snapshot: a %s view copies nothing", l.View)
	}
	if l.Spool != "" {
		if info, err := os.Stat(l.Spool); err != nil || !info.IsDir() {
			return rows.Usagef("--spool %s: not a folder that can be read", rows.QuoteName(l.Spool))
		}
	}
	if l.Wait < 0 {
		return rows.Usagef("--wait %s: must not be negative", l.Wait)
	}
	if l.MaxTime < 0 {
		return rows.Usagef("--max-time %s: must not be negative", l.MaxTime)
	}
	if l.MaxStop < 0 || l.MaxStop > LongestStop || l.StopGiven && l.MaxStop == 0 {
		return rows.Usagef("--max-stop %s: must be more than 0 and at most %s; --view live looks without a stop", l.MaxStop,
			rows.DurationText(LongestStop))
	}
	return nil
}

// Session is a target that is open, with what its executable says of itself.
type Session struct {
	Target attach.Target
	File   *symbols.File
	Info   rows.Program
	Bias   uint64 // run-time address less the link-time address

	Ends    string                       // how the process ends, if it is dying
	Kept    *memory                      // what a console's lines share; nil: each run begins with its own
	plugins map[uint64]*symbols.File     // of plugins, by where their code lies; nil: not to be had
	others  map[int]map[int]host.Waiting // who waits in other programs, by pid and descriptor
	lender  *symbols.File                // whose names a stripped program is read by, or nil
}

// Process is the target as a trace takes it.
func (s *Session) Process() trace.Process {
	return trace.Process{Target: s.Target, File: s.File, Bias: s.Bias}
}

// Now is the clock by which the target is looked at, nil for that on the wall: a core that says when it was written
// stands still at that time.
func (s *Session) Now() func() time.Time {
	at := s.Target.Written()
	if at.IsZero() {
		return nil
	}
	return func() time.Time { return at }
}

// memory is a space and its cache, that outlive a look.
type memory struct {
	cache *attach.Cache
	space *values.Space
}

// Keep gives the session a memory that its looks share from now on.
func (s *Session) Keep() *values.Space {
	s.Kept = nil
	cache, space := s.Memory()
	s.Kept = &memory{cache, space}
	return space
}

// Memory is what a look reads into: the session's own, or a new one.
func (s *Session) Memory() (*attach.Cache, *values.Space) {
	if s.Kept != nil {
		return s.Kept.cache, s.Kept.space
	}
	cache := attach.NewCache(nil)
	return cache, s.spaceOf(cache)
}

// OpenSession opens a target and its symbols. It takes as long as it takes: nothing is stopped.
func OpenSession(c TargetChoice) (*Session, error) {
	if err := c.Need(); err != nil {
		return nil, err
	}
	t, err := c.Open()
	if err != nil {
		return nil, err
	}
	f, named, err := c.symbols(t)
	if err != nil {
		t.Close()
		return nil, rows.Refused(fmt.Errorf("%s: %w", t.Describe(), err))
	}
	if named {
		c.Symbols = ""
	}
	lender, err := lend(f, c.Symbols)
	if err != nil {
		t.Close()
		return nil, rows.Refused(fmt.Errorf("%s: --symbols: %w", t.Describe(), err))
	}
	s := &Session{Target: t, File: f, lender: lender, Bias: t.Entry() - f.Entry()}
	s.Info = rows.Program{PID: t.PID(), Kind: string(t.Kind()), Executable: t.ExecutablePath(), GoVersion: f.GoVersion(),
		BuildID: f.BuildID()}
	s.Info.Module, s.Info.Version = f.MainModule()
	s.Ends = t.Ends()
	if p, ok := t.(attach.Interruptible); ok {
		start, end := f.GoCode()
		p.OwnCode(start+s.Bias, end+s.Bias)
	}
	return s, nil
}

// symbols are those of the target's executable. named: --symbols was its separate debug file.
func (c TargetChoice) symbols(t attach.Target) (f *symbols.File, named bool, err error) {
	if r, ok := t.(*recorded.Recording); ok && c.Exe == "" {
		f, err = RecordedSymbols(r)
		return f, false, err
	}
	exe := t.Executable()
	if c.Recording != "" {
		file, err := files.Open(c.Exe)
		if err != nil {
			return nil, false, err
		}
		exe = file
		if err := c.SameBuild(t); err != nil {
			file.Close()
			return nil, false, err
		}
	}
	name := filepath.Base(t.ExecutablePath())
	file, named, err := c.separate(t, exe)
	if err != nil {
		return nil, false, err
	}
	if file == nil {
		if f, err = symbols.OpenCached(exe, nil, name, symbols.CacheFolder()); err == nil && c.Symbols == "" {
			f.Explain(noDebugFile(t, exe))
		}
		return f, false, err
	}
	f, err = symbols.OpenCached(exe, file, name, symbols.CacheFolder())
	return f, named, err
}

// ErrOtherBuild: an executable isn't the one that was recorded.
var ErrOtherBuild = errors.New("its build ID is not that of the recorded program")

// SameBuild refuses an executable that is named with a recording and isn't of the build that was recorded.
func (c TargetChoice) SameBuild(t attach.Target) error {
	r, ok := t.(*recorded.Recording)
	if !ok || c.Exe == "" {
		return nil
	}
	file, err := files.Open(c.Exe)
	if err != nil {
		return err
	}
	defer file.Close()
	is, err := symbols.OpenCached(file, nil, filepath.Base(c.Exe), symbols.CacheFolder())
	if err != nil {
		return fmt.Errorf("--exe %s: %w", c.Exe, err)
	}
	if is.BuildID() != r.BuildID() {
		return fmt.Errorf("--exe %s: %w; name the executable of that same build, or leave it out: the types that were "+
			"recorded travelled along", c.Exe, ErrOtherBuild)
	}
	return nil
}

// maxSymbols is in how many pieces symbols may have travelled.
const maxSymbols = 8

// RecordedSymbols are those that travelled with a recording: each set's parts, and then its header. In files of version
// 1 there is one set, and the header comes first.
func RecordedSymbols(r *recorded.Recording) (*symbols.File, error) {
	var all *symbols.Portable
	next := symbols.Portable{Parts: map[string][]byte{}}
	sets := 0
	for _, b := range r.File().Blocks() {
		name, part := strings.CutPrefix(b.Name, recorded.SymbolsBlock+"/")
		if !part && b.Name != recorded.SymbolsBlock {
			continue
		}
		data, err := r.File().Read(b)
		if err != nil {
			return nil, err
		}
		if part {
			next.Parts[name] = data
			continue
		}
		if err := format.Unmarshal(data, &next.Header); err != nil {
			return nil, fmt.Errorf("what it says of the executable: %w", err)
		}
		if r.File().Version() == 1 {
			all = &symbols.Portable{Header: next.Header, Parts: next.Parts} // shared: the parts come
			continue
		}
		if sets++; sets > maxSymbols {
			return nil, fmt.Errorf("more than %d sets of symbols: %w", maxSymbols, format.ErrMalformed)
		}
		if all == nil {
			all = &symbols.Portable{Parts: map[string][]byte{}}
		}
		if err := all.Add(&next); err != nil {
			return nil, err
		}
		next = symbols.Portable{Parts: map[string][]byte{}}
	}
	switch {
	case all != nil:
		return symbols.OpenPortable(all)
	case r.File().CutShort():
		return nil, fmt.Errorf("it was cut short before what travels of the executable; name that (--exe EXECUTABLE): %w",
			format.ErrCutShort)
	}
	return nil, fmt.Errorf("it has no symbols: %w", format.ErrMalformed)
}

// Missing says what of the target isn't there: a recording may have been cut short. It is for who takes no view, whose
// notes say it too.
func (s *Session) Missing() []string {
	if r, ok := s.Target.(*recorded.Recording); ok && r.CutShort() != "" {
		return []string{r.CutShort()}
	}
	return nil
}

// Close lets the target go. By then the results are printed, so it is the time to save what the next run starts with;
// where that can't be done (no room, no home), the next run takes as long as this one.
func (s *Session) Close() error {
	_ = s.File.Save()
	if s.lender != nil {
		_ = s.lender.Save()
	}
	return s.Target.Close()
}

// NeedSymbols refuses an executable without debug information, and says what can still be done.
func (s *Session) NeedSymbols() error {
	if s.File.HasDWARF() || s.File.RuntimeOnly() {
		return nil
	}
	known := ""
	if why := s.File.NoRuntime(); why != nil {
		known = ", nor can the runtime's: " + why.Error()
	}
	return rows.Refused(fmt.Errorf("%s: %w; it was built with -ldflags=-s or -w, or stripped. The program's variables "+
		"and types can't be named%s; "+
		"ri recipes -p lists what fits", s.Target.Describe(), s.File.NoDWARF(), known))
}

// lend has a stripped program's file take the names of an unstripped build.
func lend(f *symbols.File, path string) (*symbols.File, error) {
	if path == "" {
		return nil, nil
	}
	if f.HasDWARF() {
		return nil, fmt.Errorf("the program has debug information of its own; leave out --symbols")
	}
	file, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	lender, err := symbols.OpenCached(file, nil, filepath.Base(path), symbols.CacheFolder())
	if err == nil {
		err = f.Borrow(lender)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return lender, nil
}

package recorded

import (
	"cmp"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ri/arch"
	"ri/attach"
	"ri/files"
	"ri/record/format"
	"ri/record/seal"
)

// SymbolsBlock has what the executable says of itself: a header, and parts whose names follow a slash. See
// symbols.Portable.
const SymbolsBlock = "symbols"

// Process is what a recording says of a process besides its memory: the block format.ProcessBlock, as JSON.
type Process struct {
	PID        int                 `json:"pid"`
	Executable string              `json:"executable"` // its name, without the folder
	Machine    uint16              `json:"machine"`    // as ELF has it
	Entry      uint64              `json:"entry"`      // AT_ENTRY
	Ends       string              `json:"ends,omitempty"`
	Heap       bool                `json:"heap,omitempty"` // all that is reachable was recorded
	Mappings   []attach.Mapping    `json:"mappings"`       // without paths
	Files      []attach.Descriptor `json:"files,omitempty"`
	// Looks are blocks of their own (format.LookBlock), but in files of version 1.
	Looks []Look `json:"looks,omitempty"`
}

// Look is a moment at which the process was looked at, as JSON.
type Look struct {
	Written  time.Time     `json:"written"`
	Nanotime int64         `json:"nanotime"` // the same by the process's monotonic clock
	Threads  []Thread      `json:"threads"`  // null: they weren't known
	Usage    *attach.Usage `json:"usage,omitempty"`
}

// Thread is a thread, with the registers by which its stack is followed.
type Thread struct {
	ID      int        `json:"id"`
	InnerID int        `json:"inner_id"`
	Frame   arch.Frame `json:"frame"`
}

// Recording is a recording as a target.
type Recording struct {
	path    string
	disk    *os.File
	sealed  bool // it is encrypted
	file    *format.Reader
	process Process
	arch    *arch.Arch
	looks   []*memory // of each of process.Looks

	mu  sync.Mutex
	now int // the look that was viewed last
}

var (
	_ attach.Target   = (*Recording)(nil)
	_ attach.Director = (*View)(nil)
	_ attach.Sparse   = (*View)(nil)

	_ attach.Accounted = (*Recording)(nil)
	_ attach.Connected = (*Recording)(nil)
)

// Open opens a recording. Errors: format.ErrNotRecording, format.ErrVersion, format.ErrMalformed, format.ErrCutShort of
// one that has nothing of the process; of one that is encrypted, which with opens, those of seal.Open; errors of the
// file system.
func Open(path string, with seal.Identities) (*Recording, error) {
	r, err := OpenFile(path, with)
	switch {
	case err != nil:
		return nil, err
	case len(r.looks) == 0:
		r.Close()
		return nil, fmt.Errorf("%s was cut before there was anything of the process's memory (ri recording info and export "+
			"show what is there): %w", path, format.ErrCutShort)
	}
	return r, nil
}

// OpenFile opens a recording for who looks at the file. One that was cut short may have no looks, and nothing of the
// process: then it is no target.
//
// Errors: those of Open.
func OpenFile(path string, with seal.Identities) (*Recording, error) {
	disk, err := files.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the recording: %w", err)
	}
	r := &Recording{path: path, disk: disk}
	if err := r.open(with); err != nil {
		disk.Close()
		return nil, err
	}
	return r, nil
}

func (r *Recording) open(with seal.Identities) error {
	info, err := r.disk.Stat()
	if err != nil {
		return fmt.Errorf("opening the recording: %w", err)
	}
	plain, size := io.ReaderAt(r.disk), info.Size()
	if r.sealed = seal.IsSealed(r.disk); r.sealed {
		if plain, size, err = seal.Open(r.disk, size, with); err != nil {
			return fmt.Errorf("%s: %w", r.path, err)
		}
	}
	if r.file, err = format.Open(plain, size, r.path); err != nil {
		return err
	}
	if err := r.readProcess(); errors.Is(err, format.ErrCutShort) {
		return nil
	} else if err != nil {
		return err
	}
	var known bool
	if r.arch, known = arch.Of(elf.Machine(r.process.Machine)); !known {
		return fmt.Errorf("%s is of %s; ri reads linux/amd64: %w", r.path, elf.Machine(r.process.Machine),
			errors.ErrUnsupported)
	}
	if n := len(r.process.Looks); n == 0 && !r.file.CutShort() || n > maxLooks {
		return fmt.Errorf("%s has %d looks: %w", r.path, n, format.ErrMalformed)
	}
	if err := sortMappings(r.process.Mappings); err != nil {
		return fmt.Errorf("%s: %w", r.path, err)
	}
	tokens, err := newMemory(r.file, format.TokenBlock)
	if err != nil {
		return err
	}
	for i := range r.process.Looks {
		m, err := newMemory(r.file, format.MemoryBlock(i+1))
		if err != nil {
			return err
		}
		m.tokens, m.whole = tokens, r.process.Heap
		r.looks = append(r.looks, m)
	}
	return nil
}

// readProcess reads what is known of the process and its looks.
func (r *Recording) readProcess() error {
	text, err := r.file.Named(format.ProcessBlock)
	if err != nil {
		return err
	}
	if err := format.Unmarshal(text, &r.process); err != nil {
		return fmt.Errorf("%s: what it says of the process: %w", r.path, err)
	}
	if r.file.Version() == 1 {
		return nil
	}
	r.process.Looks = nil
	for _, b := range r.file.Blocks() {
		n := len(r.process.Looks)
		if n > maxLooks || !strings.HasPrefix(b.Name, "look/") || b.Name != format.LookBlock(n+1) {
			continue
		}
		text, err := r.file.Read(b)
		if err != nil {
			return err
		}
		var look Look
		if err := format.Unmarshal(text, &look); err != nil {
			return fmt.Errorf("%s: what it says of look %d: %w", r.path, n+1, err)
		}
		r.process.Looks = append(r.process.Looks, look)
	}
	return nil
}

// BuildID is that of the executable, "" if it had none.
func (r *Recording) BuildID() string {
	var header struct {
		Program struct {
			BuildID string `json:"build_id"`
		} `json:"program"`
	}
	_ = json.Unmarshal(r.file.Header(), &header) // what says nothing of it fits none
	return header.Program.BuildID
}

// sortMappings puts mappings in order of address, as those who look them up rely on. Errors: format.ErrMalformed.
func sortMappings(list []attach.Mapping) error {
	slices.SortFunc(list, func(a, b attach.Mapping) int { return cmp.Compare(a.Start, b.Start) })
	for i, m := range list {
		if m.Start >= m.End || i > 0 && m.Start < list[i-1].End {
			return fmt.Errorf("what it says is mapped at %#x can't be: %w", m.Start, format.ErrMalformed)
		}
	}
	return nil
}

// maxLooks bounds how often an instrument may have looked.
const maxLooks = 1000

// look is the one that was viewed last.
func (r *Recording) look() *Look {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &r.process.Looks[r.now]
}

// Looks is how often the process was looked at.
func (r *Recording) Looks() int { return len(r.looks) }

// Sealed tells whether the file is encrypted.
func (r *Recording) Sealed() bool { return r.sealed }

// File is the recording's file.
func (r *Recording) File() *format.Reader { return r.file }

// Executable implements attach.Target: there is none.
func (r *Recording) Executable() io.ReaderAt { return nil }

// ExecutablePath implements attach.Target.
func (r *Recording) ExecutablePath() string { return r.process.Executable }

// Entry implements attach.Target.
func (r *Recording) Entry() uint64 { return r.process.Entry }

// Kind implements attach.Target.
func (r *Recording) Kind() attach.TargetKind { return attach.Recorded }

// Ends implements attach.Target.
func (r *Recording) Ends() string { return r.process.Ends }

// Written implements attach.Target.
func (r *Recording) Written() time.Time { return r.look().Written }

// Nanotime implements attach.Target.
func (r *Recording) Nanotime() int64 { return r.look().Nanotime }

// PID implements attach.Target.
func (r *Recording) PID() int { return r.process.PID }

// Describe implements attach.Target: "recording nats.rec of pid 4711 (nats-server)".
func (r *Recording) Describe() string {
	if r.process.Executable == "" {
		return "recording " + r.path
	}
	return fmt.Sprintf("recording %s of pid %d (%s)", r.path, r.process.PID, r.process.Executable)
}

// Mappings implements attach.Target.
func (r *Recording) Mappings() ([]attach.Mapping, error) { return r.process.Mappings, nil }

// Usage implements attach.Accounted.
func (r *Recording) Usage() (attach.Usage, error) {
	usage := r.look().Usage
	if usage == nil {
		return attach.Usage{}, fmt.Errorf("what the kernel accounted to the process: %w", attach.ErrNotRecorded)
	}
	return *usage, nil
}

// Descriptors implements attach.Connected.
func (r *Recording) Descriptors() ([]attach.Descriptor, error) {
	if r.process.Files == nil {
		return nil, fmt.Errorf("the process's descriptors: %w", attach.ErrNotRecorded)
	}
	return r.process.Files, nil
}

// EndConnection implements attach.Connected.
func (r *Recording) EndConnection(attach.Descriptor, bool) error {
	return fmt.Errorf("ending a connection of %s: %w", r.Describe(), attach.ErrNotSupported)
}

// Memory is that of a look.
type Memory interface {
	attach.Memory
	// Direct gives n bytes without a copy, nil if they aren't there in one piece.
	Direct(addr uint64, n int) []byte
	// IsToken tells whether the byte at an address is of a token, which stands for what was not kept.
	IsToken(addr uint64) bool
}

// Memory gives what was recorded at a look, 1 being the first; nil if there is no such look.
func (r *Recording) Memory(look int) Memory {
	if look < 1 || look > len(r.looks) {
		return nil
	}
	return r.looks[look-1]
}

// Process is what the recording says of the process besides its memory. It is not to be changed.
func (r *Recording) Process() *Process { return &r.process }

// Arch is the architecture of the process.
func (r *Recording) Arch() *arch.Arch { return r.arch }

// ReadMemory reads what was recorded, as a view does.
func (r *Recording) ReadMemory(p []byte, addr uint64) (int, error) {
	if len(r.looks) == 0 {
		return 0, &absent{addr: addr, cutShort: true}
	}
	return r.looks[0].ReadMemory(p, addr)
}

// View implements attach.Target. Whatever kind is asked for, it is as if the process were stopped, without any limit.
func (r *Recording) View(ctx context.Context, opt attach.ViewOptions) (attach.View, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if opt.Later >= len(r.looks) {
		what := ""
		if r.file.CutShort() {
			what = ", since it was cut short"
		}
		return nil, fmt.Errorf("%s has %d looks, and no later one%s: %w", r.Describe(), len(r.looks), what,
			attach.ErrNotRecorded)
	}
	r.mu.Lock()
	r.now = opt.Later
	r.mu.Unlock()
	v := &View{recording: r, memory: r.looks[opt.Later], done: make(chan struct{})}
	if r.process.Looks[opt.Later].Threads != nil {
		v.threads = []attach.Thread{}
	}
	for _, t := range r.process.Looks[opt.Later].Threads {
		v.threads = append(v.threads, attach.Thread{ID: t.ID, InnerID: t.InnerID, Regs: r.arch.FrameRegisters(t.Frame)})
	}
	return v, nil
}

// Close implements attach.Target.
func (r *Recording) Close() error { return r.disk.Close() }

// View is one look at a recording.
type View struct {
	recording *Recording
	memory    *memory
	threads   []attach.Thread
	bytesRead atomic.Int64
	closed    atomic.Bool
	done      chan struct{}
}

// ReadMemory implements attach.Memory.
func (v *View) ReadMemory(p []byte, addr uint64) (int, error) {
	if v.closed.Load() {
		return 0, v.Err()
	}
	n, err := v.memory.ReadMemory(p, addr)
	v.bytesRead.Add(int64(n))
	return n, err
}

// Direct implements attach.Director.
func (v *View) Direct(addr uint64, n int) []byte {
	if v.closed.Load() {
		return nil
	}
	b := v.memory.Direct(addr, n)
	v.bytesRead.Add(int64(len(b)))
	return b
}

// ReadHoles implements attach.Sparse.
func (v *View) ReadHoles(p []byte, addr uint64) error {
	if v.closed.Load() {
		return v.Err()
	}
	v.bytesRead.Add(int64(len(p)))
	return v.memory.ReadHoles(p, addr)
}

// IsToken tells whether the byte at an address is of a token, which stands for what was not kept.
func (v *View) IsToken(addr uint64) bool { return v.memory.IsToken(addr) }

// Coverage implements attach.View.
func (v *View) Coverage() attach.Coverage {
	return attach.Coverage{Of: attach.OneMoment, Whole: v.recording.process.Heap && !v.recording.file.CutShort()}
}

// Notes implements attach.View.
func (v *View) Notes() []string {
	if text := v.recording.CutShort(); text != "" {
		return []string{text}
	}
	return nil
}

// CutShort says that the recording was cut short, "" if it wasn't.
func (r *Recording) CutShort() string {
	if !r.file.CutShort() {
		return ""
	}
	return fmt.Sprintf("%s was cut short: the rest was not written, or was lost on the way. What is there is shown",
		r.path)
}

// Kind implements attach.View.
func (v *View) Kind() attach.ViewKind { return attach.Stopped }

// Threads implements attach.View.
func (v *View) Threads() []attach.Thread { return v.threads }

// Done implements attach.View.
func (v *View) Done() <-chan struct{} { return v.done }

// Err implements attach.View.
func (v *View) Err() error {
	if v.closed.Load() {
		return fmt.Errorf("reading %s: %w", v.recording.Describe(), attach.ErrClosed)
	}
	return nil
}

// Stats implements attach.View.
func (v *View) Stats() attach.Stats { return attach.Stats{BytesRead: v.bytesRead.Load()} }

// Close implements attach.View.
func (v *View) Close() error {
	v.closed.Store(true)
	return nil
}

// Discard implements attach.View.
func (v *View) Discard() { v.Close() }

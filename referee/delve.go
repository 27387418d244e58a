package referee

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"

	"github.com/go-delve/delve/pkg/dwarf/op"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/pkg/proc/linutil"

	"ri/attach"
)

// Delve lets Delve's pkg/proc look through a view of ours: it reads what the view reads, and can neither stop, resume
// nor write. It is made before a stop, since loading the symbols of a large executable takes seconds and
// hundreds of megabytes; then On gives it a view within microseconds.
//
// Delve is written for programs as they should be, and may panic on others: call it within contain.
type Delve struct {
	process *delveProcess
	target  *proc.Target
}

// NewDelve loads all symbols of a target's executable. debugInfoDirs are searched for split debug information.
func NewDelve(t attach.Target, debugInfoDirs ...string) (d *Delve, err error) {
	path := t.ExecutablePath()
	if f, ok := t.Executable().(*os.File); ok {
		path = fmt.Sprintf("/proc/self/fd/%d", f.Fd()) // the file that runs, whatever lies at the path now
	}
	bi := proc.NewBinaryInfo("linux", "amd64", false)
	p := &delveProcess{bi: bi, entry: t.Entry(), breakpoints: proc.NewBreakpointMap()}
	p.threads = []proc.Thread{&delveThread{process: p}}
	err = contain(func() error {
		config := proc.NewTargetGroupConfig{DebugInfoDirs: debugInfoDirs, StopReason: proc.StopAttached}
		_, add := proc.NewGroup(p, config)
		target, err := add(p, t.PID(), p.threads[0], path, proc.StopAttached, "")
		if err != nil {
			return err
		}
		d = &Delve{process: p, target: target}
		return nil
	})
	if err != nil {
		bi.Close()
		return nil, fmt.Errorf("%s: loading its symbols into Delve: %w", t.Describe(), err)
	}
	return d, nil
}

// On has Delve look at a view, until it looks at the next one. What came from it before is not valid any more. A live
// view has no threads, and so no registers: goroutines that run have no stack trace then.
func (d *Delve) On(v attach.View) (*proc.Target, error) {
	p := d.process
	threads := v.Threads()
	p.view = v
	p.threads = p.threads[:0]
	for i := range threads {
		p.threads = append(p.threads, &delveThread{process: p, thread: &threads[i]})
	}
	if len(p.threads) == 0 {
		p.threads = append(p.threads, &delveThread{process: p})
	}
	err := contain(func() error {
		d.target.ClearCaches()
		return d.target.SwitchThread(p.threads[0].ThreadID())
	})
	if err != nil {
		return nil, fmt.Errorf("showing a view to Delve: %w", err)
	}
	return d.target, nil
}

// Close frees the symbols.
func (d *Delve) Close() error { return d.process.bi.Close() }

// contain calls f and turns a panic into an error.
func contain(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("Delve panicked: %v\n%s", r, debug.Stack())
		}
	}()
	return f()
}

var (
	errReadOnly  = errors.New("ri's backend for Delve only reads")
	errNoThreads = errors.New("no registers: the view is live, or there is none yet")
)

// delveProcess is a backend of pkg/proc, as its packages native and core are. The interface ProcessInternal names types
// of a package that can't be imported, so it is embedded as nil; what isn't defined below is never called for a backend
// that neither runs nor dumps.
type delveProcess struct {
	proc.ProcessInternal
	bi          *proc.BinaryInfo
	entry       uint64
	view        attach.View
	threads     []proc.Thread
	breakpoints proc.BreakpointMap
}

func (p *delveProcess) BinInfo() *proc.BinaryInfo           { return p.bi }
func (p *delveProcess) EntryPoint() (uint64, error)         { return p.entry, nil }
func (p *delveProcess) ThreadList() []proc.Thread           { return slices.Clone(p.threads) }
func (p *delveProcess) Breakpoints() *proc.BreakpointMap    { return &p.breakpoints }
func (p *delveProcess) Memory() proc.MemoryReadWriter       { return p }
func (p *delveProcess) SupportsBPF() bool                   { return false }
func (p *delveProcess) StartCallInjection() (func(), error) { return nil, errReadOnly }
func (p *delveProcess) FollowExec(bool) error               { return errReadOnly }
func (p *delveProcess) StepInstruction(int) error           { return errReadOnly }
func (p *delveProcess) Detach(int, bool) error              { return nil }
func (p *delveProcess) Close() error                        { return nil }

// WriteBreakpoint refuses, which is what keeps Delve's own breakpoints (runtime.throw and the like) out of the target.
func (p *delveProcess) WriteBreakpoint(*proc.Breakpoint) error { return errReadOnly }
func (p *delveProcess) EraseBreakpoint(*proc.Breakpoint) error { return errReadOnly }

func (p *delveProcess) RequestManualStop(*proc.ContinueOnceContext) error { return errReadOnly }

func (p *delveProcess) ContinueOnce(*proc.ContinueOnceContext) (proc.Thread, proc.StopReason, error) {
	return nil, proc.StopUnknown, errReadOnly
}

func (p *delveProcess) MemoryMap() ([]proc.MemoryMapEntry, error) {
	return nil, proc.ErrMemoryMapNotSupported
}

func (p *delveProcess) FindThread(id int) (proc.Thread, bool) {
	for _, t := range p.threads {
		if t.ThreadID() == id {
			return t, true
		}
	}
	return nil, false
}

// Valid is asked before most operations.
func (p *delveProcess) Valid() (bool, error) {
	if p.view != nil {
		if err := p.view.Err(); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (p *delveProcess) ReadMemory(buf []byte, addr uint64) (int, error) {
	if p.view == nil {
		return 0, errNoThreads
	}
	return p.view.ReadMemory(buf, addr)
}

func (p *delveProcess) WriteMemory(uint64, []byte) (int, error) { return 0, errReadOnly }

// delveThread is a thread of the view, or the placeholder that has no registers.
type delveThread struct {
	process *delveProcess
	thread  *attach.Thread
	common  proc.CommonThread
}

func (t *delveThread) ThreadID() int {
	if t.thread == nil {
		return 0
	}
	return t.thread.ID
}

func (t *delveThread) Registers() (proc.Registers, error) {
	if t.thread == nil {
		return nil, errNoThreads
	}
	var regs linutil.AMD64PtraceRegs
	if err := binary.Read(bytes.NewReader(t.thread.Regs.User()), binary.LittleEndian, &regs); err != nil {
		return nil, fmt.Errorf("registers of thread %d: %w", t.thread.ID, err)
	}
	return linutil.NewAMD64Registers(&regs, nil), nil
}

func (t *delveThread) BinInfo() *proc.BinaryInfo              { return t.process.bi }
func (t *delveThread) ProcessMemory() proc.MemoryReadWriter   { return t.process }
func (t *delveThread) Breakpoint() *proc.BreakpointState      { return &proc.BreakpointState{} }
func (t *delveThread) Common() *proc.CommonThread             { return &t.common }
func (t *delveThread) SoftExc() bool                          { return false }
func (t *delveThread) SetCurrentBreakpoint(bool) error        { return nil }
func (t *delveThread) RestoreRegisters(proc.Registers) error  { return errReadOnly }
func (t *delveThread) SetReg(uint64, *op.DwarfRegister) error { return errReadOnly }

package values

import "bytes"

// What the kernel leaves of a system call that a stop interrupted, and that will be restarted (linux/errno.h).
const (
	restartSys   = -512 // ERESTARTSYS
	restartNoIRQ = -513 // ERESTARTNOINTR
	restartNoHnd = -514 // ERESTARTNOHAND
	restartBlock = -516 // ERESTART_RESTARTBLOCK
)

// SystemCall gives what the system call gave that a goroutine's thread has just come back from: its next instruction is
// the one behind it. waits says that it has not come back, but that the stop interrupted it. False where the thread is
// elsewhere, or its registers aren't known.
func (g *Goroutine) SystemCall() (result int64, waits, ok bool) {
	if g.status != statusSyscall && g.status != statusRunning {
		return 0, false, false
	}
	t := g.s.Thread(g.ThreadID)
	if t == nil {
		return 0, false, false
	}
	size := uint64(len(g.s.arch.Syscall))
	code, err := g.s.Slice(t.Regs.PC()-size, int(size))
	sp := t.Regs.SP()
	if err != nil || !bytes.Equal(code, g.s.arch.Syscall) || sp <= g.StackLo || sp > g.StackHi {
		return 0, false, false
	}
	word, ok := t.Regs.Get(g.s.arch.Result)
	switch result = int64(word); result {
	case restartSys, restartNoIRQ, restartNoHnd, restartBlock:
		return 0, true, ok
	}
	return result, false, ok
}

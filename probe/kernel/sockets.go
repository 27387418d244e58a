package kernel

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// SocketOptions say whose system calls on sockets are told, and what of them.
type SocketOptions struct {
	PID     int
	Goid    int64 // offset in runtime.g; 0: goroutines aren't told
	In, Out bool  // bytes that come in, that go out; else only how many
	Random  bool  // calls for random bytes, too
	// Functions are followed, too, in the code of Target.
	Functions []SocketFunction
	Target    Target
	Ring      int // bytes of the ring, a power of two; 0: 64 MiB
}

// SocketCall is a record of a system call: one call has several if it moved more than 64 KiB. They come as they are
// made, which is not in order: Seq is that.
type SocketCall struct {
	Seq       uint64 // place in the order: of writes when they began, of all others when they ended; from 0 on, each once
	Time      int64  // CLOCK_MONOTONIC in nanoseconds, at the same moment
	Goroutine uint64 // 0: not known
	Thread    uint32
	Number    uint32 // of the system call
	FD        int32
	Conn      uint32 // the socket's number: 1, 2, ...; numbers aren't used again
	Losses    uint32 // records of this socket that the ring had no room for, so far
	Result    int64  // as the kernel gives it: below 0 it is an error's number
	Arg, Arg2 int64  // by the call: see the constants of Socket*
	Offset    int64  // of Data in what the call moved
	Last      bool   // of the call's records
	Void      bool   // the call did nothing: only its place in the order is taken
	Unread    bool   // some bytes of Data could not be read, and are 0
	Address   []byte // a struct sockaddr
	Data      []byte
}

// SocketKind is what a call on a socket does.
type SocketKind uint8

// What calls do. Of some, Arg and Arg2 say more.
const (
	SocketOther       SocketKind = iota
	SocketOpen                   // Arg: family, Arg2: type
	SocketAccept                 // Arg: the number of who listens; Address: the peer
	SocketConnect                // Address: the peer
	SocketBind                   // Address
	SocketListen                 //
	SocketName                   // Address: the socket's own
	SocketError                  // Arg: SO_ERROR
	SocketRead                   // Arg: how much was asked for
	SocketWrite                  //
	SocketShutdown               // Arg: 0 reading, 1 writing, 2 both
	SocketClose                  // the descriptor; others may lead to the same socket
	SocketDup                    // Result: the new descriptor, Arg: the number of what it led to before. Conn may be 0
	SocketSendfile               // Result bytes went out unseen
	SocketSpliceIn               // Result bytes came in unseen
	SocketSpliceOut              // Result bytes went out unseen
	SocketManyRead               // recvmmsg: Result messages came in unseen
	SocketManyWritten            // sendmmsg
	SocketRandom                 // getrandom
	SocketUring                  // an io_uring was made: what goes through it isn't seen
	SocketPair                   // a pair of sockets was made, that is not followed
	SocketPlainRead              // a function gave plaintext: SocketFunction. Conn is 0 where it isn't known of which
	SocketPlainWrite             // a function took plaintext
)

var socketKinds = map[uint32]SocketKind{sysRead: SocketRead, sysReadv: SocketRead, sysRecvfrom: SocketRead,
	sysRecvmsg: SocketRead, sysWrite: SocketWrite, sysWritev: SocketWrite, sysSendto: SocketWrite,
	sysSendmsg: SocketWrite, sysClose: SocketClose, sysDup: SocketDup, sysDup2: SocketDup, sysDup3: SocketDup,
	sysFcntl: SocketDup, sysSendfile: SocketSendfile, sysSocket: SocketOpen, sysConnect: SocketConnect,
	sysAccept: SocketAccept, sysAccept4: SocketAccept, sysShutdown: SocketShutdown, sysBind: SocketBind,
	sysListen: SocketListen, sysGetsockname: SocketName, sysSocketpair: SocketPair, sysGetsockopt: SocketError,
	sysRecvmmsg: SocketManyRead, sysSendmmsg: SocketManyWritten, sysGetrandom: SocketRandom,
	sysIoUringSetup: SocketUring, plainRead: SocketPlainRead, plainWrite: SocketPlainWrite, sysRand: SocketRandom}

// Kind says what the call does.
func (c *SocketCall) Kind() SocketKind {
	if c.Number == sysSplice {
		if c.Arg == 1 {
			return SocketSpliceOut
		}
		return SocketSpliceIn
	}
	return socketKinds[c.Number]
}

// Sockets follows a process' system calls on sockets. Methods are for one goroutine.
type Sockets struct {
	opt      SocketOptions
	maps     []*ebpf.Map
	programs []*ebpf.Program
	links    []link.Link
	keeper   *keeper // of functions' probes; nil: none are followed
	kept     []int
	control  []byte // the control map's memory
	fds      []byte // that of the table of descriptors
	most     int    // of descriptors
	ring     *ring
}

// mostDescriptors bounds the table of descriptors: 8 bytes each.
const mostDescriptors = 1 << 20

// FollowSockets makes ready to follow; Start begins. The programs run at each system call of the host, and leave at
// once where it is another process'. Errors: ErrNotYours, ErrGone, ErrUnable.
func FollowSockets(opt SocketOptions) (*Sockets, error) {
	if err := Check(opt.PID); err != nil {
		return nil, err
	}
	able := Able()
	if able.Way == None {
		return nil, able.refusal()
	}
	// Programs know pids as the first namespace has them.
	if ns, err := os.Readlink("/proc/self/ns/pid"); err != nil || ns != initPIDNamespace {
		return nil, fmt.Errorf("ri runs in a pid namespace of its own (%s), and system calls are told apart by the pids "+
			"of the host. Run ri on the host, or in a container with its pids (--pid=host): %w", ns, ErrUnable)
	}
	if opt.Ring == 0 {
		opt.Ring = 64 << 20
	}
	s := &Sockets{opt: opt, most: mostDescriptors}
	var limit unix.Rlimit
	if err := unix.Prlimit(opt.PID, unix.RLIMIT_NOFILE, nil, &limit); err == nil && limit.Max < mostDescriptors {
		s.most = int(max(limit.Max, 64))
	}
	if err := s.make(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// initPIDNamespace is the link of the first one (PROC_PID_INIT_INO, include/linux/proc_ns.h).
const initPIDNamespace = "pid:[4026531836]"

func (s *Sockets) make() error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return mapError("the number of processors", err)
	}
	const mmapable = 1 << 10
	specs := []ebpf.MapSpec{
		{Name: "ri_sockets", Type: ebpf.Array, KeySize: 4, ValueSize: sockSize, MaxEntries: 1, Flags: mmapable},
		{Name: "ri_fds", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: uint32(s.most), Flags: mmapable},
		{Name: "ri_threads", Type: ebpf.LRUHash, KeySize: 4, ValueSize: 32, MaxEntries: 16384},
		{Name: "ri_scratch", Type: ebpf.Array, KeySize: 4, ValueSize: scratchSize, MaxEntries: uint32(cpus)},
		{Name: "ri_ring", Type: ebpf.RingBuf, MaxEntries: uint32(s.opt.Ring)},
	}
	for i := range specs {
		m, err := ebpf.NewMap(&specs[i])
		if err != nil {
			return mapError("a map of "+specs[i].Name, err)
		}
		s.maps = append(s.maps, m)
	}
	if s.control, err = mapMemory(s.maps[0], sockSize); err != nil {
		return err
	}
	if s.fds, err = mapMemory(s.maps[1], 8*s.most); err != nil {
		return err
	}
	if s.ring, err = newRing(s.maps[4].FD(), s.opt.Ring); err != nil {
		return err
	}
	for _, entry := range []bool{true, false} {
		p, err := s.program(entry)
		if err != nil {
			return err
		}
		s.programs = append(s.programs, p)
	}
	return nil
}

func mapMemory(m *ebpf.Map, size int) ([]byte, error) {
	page := os.Getpagesize()
	memory, err := unix.Mmap(m.FD(), 0, (size+page-1)&^(page-1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, mapError("its map's memory", err)
	}
	return memory, nil
}

func (s *Sockets) program(entry bool) (*ebpf.Program, error) {
	g := s.generator()
	name := "ri_sock_exit"
	if entry {
		name = "ri_sock_enter"
		g.entry()
	} else {
		g.leave()
	}
	code, err := g.finish()
	if err != nil {
		return nil, err
	}
	return loadSocketProgram(&ebpf.ProgramSpec{Name: name, Type: ebpf.RawTracepoint, License: "GPL", Instructions: code})
}

func (s *Sockets) generator() *socketPrograms {
	return &socketPrograms{assembler: newAssembler(), opt: s.opt, maps: socketMaps{control: s.maps[0].FD(),
		fds: s.maps[1].FD(), threads: s.maps[2].FD(), scratch: s.maps[3].FD(), ring: s.maps[4].FD(), most: s.most}}
}

func loadSocketProgram(spec *ebpf.ProgramSpec) (*ebpf.Program, error) {
	p, err := ebpf.NewProgramWithOptions(spec, ebpf.ProgramOptions{LogDisabled: true})
	if err == nil {
		return p, nil
	}
	if _, err = ebpf.NewProgram(spec); err == nil {
		err = errors.New("at the second try it took it")
	}
	var verifier *ebpf.VerifierError
	if errors.As(err, &verifier) && len(verifier.Log) > 1 {
		last := verifier.Log[max(0, len(verifier.Log)-8):]
		err = fmt.Errorf("%w (%s)", errors.Unwrap(err), strings.Join(last, "; "))
	}
	return nil, fmt.Errorf("the kernel refuses the program for system calls: %w: %w", err, ErrUnable)
}

// Start begins to follow. What was open before is told by Follow.
func (s *Sockets) Start() error {
	// First what begins, then what ends: a write whose beginning wasn't seen is left out.
	for i, name := range []string{"sys_enter", "sys_exit"} {
		l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: name, Program: s.programs[i]})
		if err != nil {
			return fmt.Errorf("the kernel doesn't give its tracepoint %s: %w: %w", name, err, ErrUnable)
		}
		s.links = append(s.links, l)
	}
	if len(s.opt.Functions) > 0 {
		return s.functions(s.opt.Target, s.opt.Functions)
	}
	return nil
}

// Follow has a descriptor that is open already be followed, and gives the number of its socket; number is 0 or that
// of another descriptor of the same. Of what the kernel saw opened meanwhile nothing changes, and the number is 0.
func (s *Sockets) Follow(fd int, number uint32) uint32 {
	if fd < 0 || fd >= s.most {
		return 0
	}
	if number == 0 {
		number = uint32(atomic.AddUint64(word(s.control[sockConn:]), 1))
	}
	if !atomic.CompareAndSwapUint64(word(s.fds[8*fd:]), 0, uint64(number)) {
		return 0
	}
	return number
}

// Forget has a descriptor not be followed any more.
func (s *Sockets) Forget(fd int, number uint32) {
	if fd >= 0 && fd < s.most {
		atomic.CompareAndSwapUint64(word(s.fds[8*fd:]), uint64(number), 0)
	}
}

// Number is that of the socket of a descriptor now; 0: none that is followed.
func (s *Sockets) Number(fd int) uint32 {
	if fd < 0 || fd >= s.most {
		return 0
	}
	return uint32(atomic.LoadUint64(word(s.fds[8*fd:])))
}

// SocketCounts are what was told so far.
type SocketCounts struct{ Seq, Records, Bytes, Lost uint64 }

// Counts gives what was told so far.
func (s *Sockets) Counts() SocketCounts {
	at := func(off int) uint64 { return atomic.LoadUint64(word(s.control[off:])) }
	return SocketCounts{at(sockSeq), at(sockCalls), at(sockBytes), at(sockLost)}
}

// Pause is how long to wait where Next has nothing: programs wake nobody, which would cost the process more.
const Pause = 2 * time.Millisecond

// Next gives the next record; false if there is none now. Its bytes are the caller's.
func (s *Sockets) Next() (c SocketCall, ok bool) {
	b, release, ok := s.ring.next()
	if !ok {
		return c, false
	}
	defer release()
	if len(b) < recordHead {
		return c, true // not by our programs
	}
	c = SocketCall{Seq: le64(b), Time: int64(le64(b[recTime:])), Goroutine: le64(b[recGoid:]), Thread: le32(b[recThread:]),
		Number: le32(b[recCall:]), FD: int32(le32(b[recFD:])), Conn: le32(b[recConn:]), Losses: le32(b[recLosses:]),
		Result: int64(le64(b[recResult:])),
		Arg:    int64(le64(b[recArg:])), Arg2: int64(le64(b[recArg2:])), Offset: int64(le64(b[recOffset:]))}
	flags := le32(b[recFlags:])
	c.Last, c.Void, c.Unread = flags&recLast != 0, flags&recVoid != 0, flags&recFailed != 0
	if n := le32(b[recAddrSize:]); n > 0 && n <= addrRoom {
		c.Address = append(c.Address, b[recAddr:recAddr+n]...)
	}
	if n := int(le32(b[recSize:])); n > 0 && n <= len(b)-recordHead {
		c.Data = append(c.Data, b[recordHead:recordHead+n]...)
	}
	return c, true
}

// Broken says whether the functions that are to be followed aren't any more: ErrKeeper.
func (s *Sockets) Broken() bool {
	if s.keeper == nil {
		return false
	}
	select {
	case <-s.keeper.ended:
		return true
	default:
		return false
	}
}

// Stop ends it: records that were made are there for Next still. Errors: ErrKeeper, if functions were followed, and
// from some moment on weren't.
func (s *Sockets) Stop() error {
	var errs []error
	for _, l := range s.links {
		errs = append(errs, l.Close())
	}
	s.links = nil
	if s.keeper != nil {
		errs = append(errs, s.keeper.away(s.kept))
		s.keeper.close()
		s.keeper, s.kept = nil, nil
	}
	return errors.Join(errs...)
}

// Close takes all away.
func (s *Sockets) Close() error {
	err := s.Stop()
	for _, p := range s.programs {
		p.Close()
	}
	s.programs = nil
	if s.ring != nil {
		s.ring.close()
		s.ring = nil
	}
	for _, b := range [][]byte{s.control, s.fds} {
		if b != nil {
			unix.Munmap(b)
		}
	}
	s.control, s.fds = nil, nil
	for _, m := range s.maps {
		m.Close()
	}
	s.maps = nil
	return err
}

// Package worker is what a request at an agent is done by: a process of ri's own program, which is told over a socket
// what it is to do, and then is that command of ri. It may be started before there is anything to do.
//
// It dies with the agent (PDEATHSIG), and has limits of its own. What lies at the asker's is for it below one folder,
// at the same paths.
//
// What may not come in: who asks, and what the command does.
package worker

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Argument is what a worker is started with, in the place of a command.
const Argument = "worker-of-an-agent"

// control is the descriptor of the socket to the agent.
const control = 3

// Task is what a worker is to do.
type Task struct {
	Line   []string // the command line of ri, without its name
	Root   string   // below which the files of the asker's lie
	Folder string   // where it is done
	Env    []string // added to the worker's
	// Terminal is which of the three streams is a terminal that is to be the worker's own; -1: none.
	Terminal int
	// Redacted has it show only what recordings keep.
	Redacted bool
	// Key is that of the tokens in what it shows, in hexadecimal, where several looks are to have the same; "": a new one.
	Key string
	// Allow is what the agent's configuration lets scripts reach outside of processes.
	Allow  []string
	Limits Limits
}

// Limits are those of the agent's for who asks.
type Limits struct {
	Stops  time.Duration // for which processes may be held in a minute; 0: as long as the command itself allows
	Before time.Duration // for which the process was held in the last minute, by others for who asks
	Rows   int           // that a script may give; 0: as many as its recipe says
}

// Spent is what a worker says at its end of what it cost.
type Spent struct {
	Stopped time.Duration `json:"stopped_ns"` // for how long it held processes
	Lately  time.Duration `json:"lately_ns"`  // and in its last minute
}

// Is tells whether this process was started as a worker.
func Is() bool { return len(os.Args) == 2 && os.Args[1] == Argument }

// Root is below which the files of the asker's lie, "" in a process that is no worker.
func Root() string { return root }

// Redacted tells whether this process is to show only what recordings keep.
func Redacted() bool { return redacted }

// Key is that of the tokens in what this process shows, "" if nobody has said one.
func Key() string { return key }

var (
	root     string
	redacted bool
	key      string
	allow    []string
	limits   Limits
)

// OwnLimits are those of this process; in one that is no worker there are none.
func OwnLimits() Limits { return limits }

// Allow is what the agent's configuration lets scripts reach outside of processes.
func Allow() []string { return allow }

// Report tells the agent what was spent; in a process that is no worker it does nothing.
func Report(s Spent) {
	if root == "" {
		return
	}
	if text, err := json.Marshal(s); err == nil {
		_, _ = unix.Write(control, text) // an agent that is gone needs no report
	}
}

// Become waits for what there is to do, and makes this process one that was started for it: arguments, streams, folder.
// io.EOF: there is nothing to do, and never will be.
func Become() error {
	unix.CloseOnExec(control)
	var size [4]byte
	rights := make([]byte, unix.CmsgSpace(3*4))
	n, rn, _, _, err := recvmsg(size[:], rights)
	if err != nil {
		return err
	}
	if n == 0 {
		return io.EOF
	}
	socket := descriptor(control)
	if _, err := io.ReadFull(socket, size[n:]); err != nil {
		return err
	}
	text := make([]byte, binary.LittleEndian.Uint32(size[:]))
	if _, err := io.ReadFull(socket, text); err != nil {
		return err
	}
	var t Task
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	streams, err := received(rights[:rn])
	if err != nil {
		return err
	}
	for i, fd := range streams {
		if err := unix.Dup3(fd, i, 0); err != nil {
			return fmt.Errorf("stream %d: %w", i, err)
		}
		unix.Close(fd)
	}
	if t.Terminal >= 0 {
		if err := unix.IoctlSetInt(t.Terminal, unix.TIOCSCTTY, 0); err != nil {
			return fmt.Errorf("the terminal: %w", err)
		}
	}
	if err := os.Chdir(t.Folder); err != nil {
		return err
	}
	for _, v := range t.Env {
		for i := range v {
			if v[i] == '=' {
				if err := os.Setenv(v[:i], v[i+1:]); err != nil {
					return err
				}
				break
			}
		}
	}
	os.Args = append(os.Args[:1:1], t.Line...)
	root, redacted, key, allow, limits = t.Root, t.Redacted, t.Key, t.Allow, t.Limits
	return nil
}

func recvmsg(data, rights []byte) (n, rn, flags int, from unix.Sockaddr, err error) {
	for {
		n, rn, flags, from, err = unix.Recvmsg(control, data, rights, unix.MSG_CMSG_CLOEXEC)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

type descriptor int

func (d descriptor) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(d), b)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n == 0 && err == nil && len(b) > 0 {
			return 0, io.EOF
		}
		return max(n, 0), err
	}
}

func received(rights []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("no streams came: %v", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err == nil && len(fds) != 3 {
		err = fmt.Errorf("%d streams came, not 3", len(fds))
	}
	return fds, err
}

// Worker is such a process, as the agent has it.
type Worker struct {
	PID     int
	socket  *net.UnixConn
	process *os.Process
}

// Rights are whose a worker is, and what it may take.
type Rights struct {
	Credential *syscall.Credential // nil: the agent's own
	Env        []string
	Memory     uint64 // bytes; 0: unlimited
}

// starting is where workers are started: PDEATHSIG goes by the thread that did it, so that must not end.
var starting = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// Start starts a worker, which waits.
func Start(r Rights) (*Worker, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	theirs := os.NewFile(uintptr(pair[1]), "worker")
	defer theirs.Close()
	ours := os.NewFile(uintptr(pair[0]), "worker")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	var process *os.Process
	done := make(chan error)
	starting() <- func() {
		var err error
		process, err = os.StartProcess("/proc/self/exe", []string{"ri", Argument}, &os.ProcAttr{Dir: "/", Env: r.Env,
			Files: []*os.File{null, null, null, theirs},
			Sys:   &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, Credential: r.Credential}})
		done <- err
	}
	if err := <-done; err != nil {
		conn.Close()
		return nil, err
	}
	w := &Worker{PID: process.Pid, socket: conn.(*net.UnixConn), process: process}
	limits := map[int]uint64{unix.RLIMIT_CORE: 0}
	if r.Memory > 0 {
		limits[unix.RLIMIT_DATA] = r.Memory
	}
	for which, most := range limits {
		limit := unix.Rlimit{Cur: most, Max: most}
		if err := unix.Prlimit(w.PID, which, &limit, nil); err != nil {
			w.Discard()
			return nil, fmt.Errorf("limits: %w", err)
		}
	}
	return w, nil
}

// Do tells it what to do, and gives it its streams.
func (w *Worker) Do(t Task, streams [3]*os.File) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	data := append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...)
	rights := unix.UnixRights(int(streams[0].Fd()), int(streams[1].Fd()), int(streams[2].Fd()))
	n, _, err := w.socket.WriteMsgUnix(data, rights, nil)
	if err == nil && n < len(data) {
		_, err = w.socket.Write(data[n:])
	}
	runtime.KeepAlive(streams)
	return err
}

// Signal sends it a signal.
func (w *Worker) Signal(s syscall.Signal) error { return w.process.Signal(s) }

// Spent is what it said that it cost, once it has ended; false if it said nothing.
func (w *Worker) Spent() (Spent, bool) {
	var s Spent
	err := json.NewDecoder(io.LimitReader(w.socket, 4096)).Decode(&s)
	w.socket.Close()
	return s, err == nil
}

// Kill ends it at once.
func (w *Worker) Kill() { w.process.Kill() }

// Wait waits until it has ended, and is told each time that it is stopped (Ctrl-Z).
func (w *Worker) Wait(stopped func()) (unix.WaitStatus, unix.Rusage, error) {
	defer w.process.Release()
	for {
		var status unix.WaitStatus
		var usage unix.Rusage
		_, err := unix.Wait4(w.PID, &status, unix.WUNTRACED, &usage)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, usage, err
		case status.Stopped():
			if stopped != nil {
				stopped()
			}
			continue
		}
		return status, usage, nil
	}
}

// Discard ends a worker that has nothing to do.
func (w *Worker) Discard() {
	w.Kill()
	w.Wait(nil)
	w.socket.Close()
}

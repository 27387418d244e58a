// Package worker is what a request at an agent is done by: a process of ri's own program, which is told over a socket
// what it is to do, and then is that command of ri. It may be started before there is anything to do.
//
// It dies with the agent (PDEATHSIG), and has limits of its own. What lies at the asker's is for it below one folder,
// at the same paths.
//
// What may not come in: who asks, and what the command does.
package worker

import (
	"context"
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
	// Asker says who asks from afar, and what they may; "": who has an account here.
	Asker string
	// Redacted has it show only what recordings keep.
	Redacted bool
	// Key is that of the tokens in what it shows, in hexadecimal, where several looks are to have the same; "": a new one.
	Key string
	// Address is where whoever asks listens for this worker, whose connections come by a descriptor more; "": nobody does.
	Address string
	// Allow is what the agent's configuration lets scripts reach outside of processes.
	Allow  []string
	Site   Site
	Limits Limits
}

// Site is who the agent is, for what scripts reach by TLS: its certificate, and what was revoked, as files.
type Site struct{ File, Revoked string }

// Limits are those of the agent's for who asks.
type Limits struct {
	Stops time.Duration // for which processes may be held in a minute; 0: as long as the command itself allows
	Rows  int           // that a script may give; 0: as many as its recipe says
}

// Is tells whether this process was started as a worker.
func Is() bool { return len(os.Args) == 2 && os.Args[1] == Argument }

// Root is below which the files of the asker's lie, "" in a process that is no worker.
func Root() string { return own.Root }

// Asker says who asks from afar, and what they may; "" in a process that is no worker, and for who has an account here.
func Asker() string { return own.Asker }

// Redacted tells whether this process is to show only what recordings keep.
func Redacted() bool { return own.Redacted }

// Key is that of the tokens in what this process shows, "" if nobody has said one.
func Key() string { return own.Key }

// own is what this process was told to do, empty in one that is no worker.
var own Task

// OwnLimits are those of this process; in one that is no worker there are none.
func OwnLimits() Limits { return own.Limits }

// Allow is what the agent's configuration lets scripts reach outside of processes.
func Allow() []string { return own.Allow }

// OwnSite is who this process is for what scripts reach; empty: the user whose it is.
func OwnSite() Site { return own.Site }

// Become waits for what there is to do, and makes this process one that was started for it: arguments, streams, folder.
// io.EOF: there is nothing to do, and never will be.
func Become() error {
	unix.CloseOnExec(control)
	var size [4]byte
	rights := make([]byte, unix.CmsgSpace(4*4))
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
	streams, err := received(rights[:rn], t.Address != "")
	if err != nil {
		return err
	}
	if t.Address != "" {
		incoming = streams[3]
	}
	for i, fd := range streams[:3] {
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
	own = t
	return nil
}

// Again does another command line of ri as this worker does its own, in a process of its own: below the same folder,
// within the same limits, and with the same powers. It gives its exit code; when the context ends, it is interrupted.
func Again(ctx context.Context, line []string, streams [3]*os.File) (int, error) {
	w, err := Start(Rights{Env: os.Environ()})
	if err != nil {
		return 0, err
	}
	defer w.Close()
	task := own
	task.Line, task.Terminal, task.Address = line, -1, ""
	go w.Serve(relay{})
	if err := w.Do(task, streams, nil); err != nil {
		w.Discard()
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { _ = w.Signal(syscall.SIGINT) })
	defer stop()
	status, _, err := w.Wait(nil)
	if err == nil && status.Signaled() {
		return 0, fmt.Errorf("it died of %s", unix.SignalName(status.Signal()))
	}
	return status.ExitStatus(), err
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

func received(rights []byte, connections bool) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("no streams came: %v", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	want := 3
	if connections {
		want++
	}
	if err == nil && len(fds) != want {
		err = fmt.Errorf("%d descriptors came, not %d", len(fds), want)
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
	conn, theirs, err := pairOf()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
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
	w := &Worker{PID: process.Pid, socket: conn, process: process}
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

// Do tells it what to do, and gives it its streams, and what connections come by if the task has an address.
func (w *Worker) Do(t Task, streams [3]*os.File, connections *os.File) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	data := append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...)
	fds := []int{int(streams[0].Fd()), int(streams[1].Fd()), int(streams[2].Fd())}
	if t.Address != "" {
		fds = append(fds, int(connections.Fd()))
	}
	n, _, err := w.socket.WriteMsgUnix(data, unix.UnixRights(fds...), nil)
	if err == nil && n < len(data) {
		_, err = w.socket.Write(data[n:])
	}
	runtime.KeepAlive(streams)
	runtime.KeepAlive(connections)
	return err
}

// Signal sends it a signal.
func (w *Worker) Signal(s syscall.Signal) error { return w.process.Signal(s) }

// Close lets go of a worker that has ended.
func (w *Worker) Close() { w.socket.Close() }

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

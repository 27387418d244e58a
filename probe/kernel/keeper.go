package kernel

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// keeperName is what a keeper is called, in the list of processes too.
const keeperName = "ri-keeper"

func init() {
	if len(os.Args) == 1 && os.Args[0] == keeperName {
		keep()
	}
}

// A keeper is a process of ri's own that has the kernel put breakpoints in and take them out. A thread that has got
// SIGKILL can't: the kernel reads no page for it, warns "uprobe: failed to unregister, leaking uprobe" (Linux 6.18),
// and the breakpoints stay in the program, heard by nobody, for as long as that runs. So ri, which may be killed at any
// moment, doesn't do it itself. A keeper has a session of its own, so that signals for ri's process group aren't for
// it, ends when ri does, however that ends, and takes all away with it.
type keeper struct {
	mu    sync.Mutex
	conn  *net.UnixConn
	ended chan struct{} // closed when it has
}

// order is what a keeper does: it arms a program at places, whose descriptor and whose file's come with it, or takes
// away what it armed before.
type order struct {
	Way              Way
	PID              int
	Offsets, Cookies []uint64 // as many; no cookies where the kernel has none
	Away             []int
}

// outcome is what became of it: the number of what is armed, or why not.
type outcome struct {
	Number int
	Refused
}

// Refused is a refusal by the kernel, as it came from the keeper.
type Refused struct {
	Text  string
	Errno syscall.Errno
}

func (r *Refused) Error() string { return r.Text }
func (r *Refused) Unwrap() error {
	if r.Errno == 0 {
		return nil
	}
	return r.Errno
}

func refusedAs(err error) (r Refused) {
	if err == nil {
		return r
	}
	r.Text = err.Error()
	if !errors.As(err, &r.Errno) && errors.Is(err, os.ErrNotExist) {
		r.Errno = unix.ENOENT
	}
	return r
}

// ErrKeeper is where the process that keeps the probes has ended: somebody killed it. With it the probes are gone.
var ErrKeeper = errors.New("the process that keeps the probes (" + keeperName + ") was ended by somebody, and the " +
	"probes with it: begin again")

// newKeeper starts a keeper.
func newKeeper() (*keeper, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("a socket for the process that keeps the probes: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "keeper")
	defer theirs.Close()
	conn, err := unixConn(fds[0])
	if err != nil {
		return nil, fmt.Errorf("a socket for the process that keeps the probes: %w", err)
	}
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{keeperName}, Dir: "/", ExtraFiles: []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	if err := cmd.Start(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("the process that keeps the probes, another one of ri, can't be started: %w", err)
	}
	k := &keeper{conn: conn, ended: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(k.ended)
	}()
	return k, nil
}

func unixConn(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "keeper")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("not a Unix socket")
	}
	return conn, nil
}

// close lets the keeper go, which takes all away that it still has. It waits for its end: what ends after ri is left to
// process 1, and in many a container that is a program which collects no exit status, so that a zombie would stay.
func (k *keeper) close() {
	if k == nil {
		return
	}
	k.conn.Close()
	select {
	case <-k.ended:
	case <-time.After(keeperEnds):
	}
}

// keeperEnds is how long a keeper that isn't needed any more is waited for at most.
const keeperEnds = 5 * time.Second

// arm arms a program at places of a file's code, all or none, and gives the number of what it armed.
func (k *keeper) arm(program *ebpf.Program, file *os.File, o order) (int, error) {
	got, err := k.do(o, program.FD(), int(file.Fd()))
	runtime.KeepAlive(program)
	runtime.KeepAlive(file)
	if err != nil {
		return 0, err
	}
	return got.Number, nil
}

// away takes away what was armed: all at once, as the kernel waits some 30 ms at each.
func (k *keeper) away(numbers []int) error {
	if len(numbers) == 0 {
		return nil
	}
	_, err := k.do(order{Away: numbers})
	return err
}

func (k *keeper) do(o order, fds ...int) (outcome, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var got outcome
	err := sendTo(k.conn, o, fds...)
	if err == nil {
		_, err = receive(k.conn, &got)
	}
	switch {
	case err != nil:
		return got, fmt.Errorf("%w: %w", ErrKeeper, err)
	case got.Text != "":
		return got, &got.Refused
	}
	return got, nil
}

// A message is its length in eight bytes, and a gob.
func sendTo(conn *net.UnixConn, what any, fds ...int) error {
	var b bytes.Buffer
	b.Write(make([]byte, 8))
	if err := gob.NewEncoder(&b).Encode(what); err != nil {
		return err
	}
	data := b.Bytes()
	binary.LittleEndian.PutUint64(data, uint64(len(data)-8))
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	n, _, err := conn.WriteMsgUnix(data, rights, nil)
	if err == nil && n < len(data) {
		_, err = conn.Write(data[n:])
	}
	return err
}

func receive(conn *net.UnixConn, what any) (fds []int, err error) {
	head, rights := make([]byte, 8), make([]byte, unix.CmsgSpace(4*2))
	n, rn, _, _, err := conn.ReadMsgUnix(head, rights)
	if err != nil {
		return nil, err
	}
	if rn > 0 {
		messages, err := unix.ParseSocketControlMessage(rights[:rn])
		if err != nil {
			return nil, err
		}
		for i := range messages {
			more, err := unix.ParseUnixRights(&messages[i])
			if err != nil {
				return nil, err
			}
			fds = append(fds, more...)
		}
	}
	if n == 0 {
		return fds, io.EOF
	}
	if _, err := io.ReadFull(conn, head[n:]); err != nil {
		return fds, err
	}
	body := io.LimitReader(conn, int64(binary.LittleEndian.Uint64(head)))
	return fds, gob.NewDecoder(body).Decode(what)
}

// keep is a keeper's life. It ends when ri does.
func keep() {
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	os.WriteFile("/proc/self/comm", []byte(keeperName), 0)
	conn, err := unixConn(3)
	if err != nil {
		os.Exit(1)
	}
	armed := map[int]link.Link{}
	next := 0
	for {
		var o order
		fds, err := receive(conn, &o)
		if err != nil {
			break
		}
		var said outcome
		if len(o.Away) > 0 {
			var links []link.Link
			for _, n := range o.Away {
				if l := armed[n]; l != nil {
					links = append(links, l)
				}
				delete(armed, n)
			}
			said.Refused = refusedAs(closeAll(links))
		} else if l, err := o.arm(fds); err != nil {
			said.Refused = refusedAs(err)
		} else {
			next++
			armed[next], said.Number = l, next
		}
		if sendTo(conn, said) != nil {
			break
		}
	}
	var rest []link.Link
	for _, l := range armed {
		rest = append(rest, l)
	}
	closeAll(rest)
	os.Exit(0)
}

func (o *order) arm(fds []int) (link.Link, error) {
	if len(fds) != 2 {
		return nil, fmt.Errorf("%d descriptors came, not two", len(fds))
	}
	defer unix.Close(fds[1])
	program, err := ebpf.NewProgramFromFD(fds[0])
	if err != nil {
		return nil, fmt.Errorf("the program: %w", err)
	}
	defer program.Close() // the link holds it
	ex, err := link.OpenExecutable(fmt.Sprintf("/proc/self/fd/%d", fds[1]))
	if err != nil {
		return nil, fmt.Errorf("the file of the code: %w", err)
	}
	if o.Way == Perf { // one place
		u := &link.UprobeOptions{Address: o.Offsets[0], PID: o.PID}
		if len(o.Cookies) > 0 {
			u.Cookie = o.Cookies[0]
		}
		return ex.Uprobe("", program, u)
	}
	return ex.UprobeMulti(nil, program, &link.UprobeMultiOptions{PID: uint32(o.PID), Addresses: o.Offsets,
		Cookies: o.Cookies})
}

// closeAll closes links at once: the kernel waits some 30 ms at each.
func closeAll(links []link.Link) error {
	errs := make(chan error, len(links))
	for _, l := range links {
		go func() { errs <- l.Close() }()
	}
	var all []error
	for range links {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

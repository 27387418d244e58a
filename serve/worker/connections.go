package worker

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Connections is the agent's end of what gives a worker connections: those that whoever asks has had at its address.
type Connections struct{ way *net.UnixConn }

// NewConnections makes both ends; theirs is for Do.
func NewConnections() (c *Connections, theirs *os.File, err error) {
	way, theirs, err := pairOf()
	if err != nil {
		return nil, nil, err
	}
	return &Connections{way}, theirs, nil
}

// Open gives the worker a connection, and the agent its other end.
func (c *Connections) Open() (*net.UnixConn, error) {
	ours, theirs, err := pairOf()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	if _, _, err := c.way.WriteMsgUnix([]byte{0}, unix.UnixRights(int(theirs.Fd())), nil); err != nil {
		ours.Close()
		return nil, fmt.Errorf("the worker takes no connection: %w", err)
	}
	return ours, nil
}

// Close has the worker get no more.
func (c *Connections) Close() error { return c.way.Close() }

// pairOf makes two ends of a connection.
func pairOf() (ours *net.UnixConn, theirs *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if ours, err = unixConn(pair[0]); err != nil {
		unix.Close(pair[1])
		return nil, nil, err
	}
	return ours, os.NewFile(uintptr(pair[1]), "connection"), nil
}

// unixConn makes a descriptor a connection, and closes the descriptor.
func unixConn(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// incoming is the worker's end of what gives it connections, if it has an address.
var incoming int

// Listener has the connections that come to a worker; nil where none do.
func Listener() (net.Listener, error) {
	if own.Address == "" {
		return nil, nil
	}
	way, err := unixConn(incoming)
	if err != nil {
		return nil, err
	}
	return &listener{way}, nil
}

type listener struct{ way *net.UnixConn }

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	var one [1]byte
	rights := make([]byte, unix.CmsgSpace(4))
	n, rn, _, _, err := l.way.ReadMsgUnix(one[:], rights)
	if err != nil || n == 0 {
		return nil, net.ErrClosed
	}
	messages, err := unix.ParseSocketControlMessage(rights[:rn])
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("no connection came: %v", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, fmt.Errorf("no connection came: %v", err)
	}
	conn, err := unixConn(fds[0])
	if err != nil {
		return nil, err
	}
	return connection{conn}, nil
}

// connection is one that was let in where it came from: it isn't the agent's user who is at the other end.
type connection struct{ net.Conn }

func (l *listener) Close() error   { return l.way.Close() }
func (l *listener) Addr() net.Addr { return address{} }

// address is where whoever asks listens.
type address struct{}

func (address) Network() string { return "ri" }
func (address) String() string  { return own.Address }

package referee

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"ri/attach/proc"
)

// Guard has a listener let in only who is of the user that ri runs as: a copy holds all that a process has in memory.
// warn is told of who isn't. What comes neither by a Unix socket nor by TCP was let in where it came from.
func Guard(l net.Listener, warn func(string, ...any)) net.Listener { return &guarded{l, warn} }

type guarded struct {
	net.Listener
	warn func(string, ...any)
}

// Accept implements net.Listener.
func (g *guarded) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if err := checkPeer(c); err != nil {
			g.warn("a client was refused: %v", err)
			c.Close()
			continue
		}
		return c, nil
	}
}

// checkPeer refuses a client of another user: the kernel says whose the other end is.
func checkPeer(c net.Conn) error {
	var user int
	switch c := c.(type) {
	case *net.UnixConn:
		raw, err := c.SyscallConn()
		if err != nil {
			return err
		}
		var peer *unix.Ucred
		failed := raw.Control(func(fd uintptr) {
			peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		})
		if failed != nil || err != nil {
			return fmt.Errorf("its user is not known: %v", err)
		}
		user = int(peer.Uid)
	case *net.TCPConn:
		var err error
		if user, err = proc.SocketUser(c.RemoteAddr().String(), c.LocalAddr().String()); err != nil {
			return fmt.Errorf("its user is not known: %v", err)
		}
	default:
		return nil
	}
	if user != os.Getuid() {
		return fmt.Errorf("it is of user %d, and ri of user %d", user, os.Getuid())
	}
	return nil
}

package referee

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// checkPeer refuses a client of another user on a Unix socket. Those that come by TCP Delve's server looks for in
// /proc/net/tcp (service/internal/sameuser).
func checkPeer(c net.Conn) error {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil
	}
	raw, err := u.SyscallConn()
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
	if int(peer.Uid) != os.Getuid() {
		return fmt.Errorf("it is of user %d (pid %d), and ri of user %d", peer.Uid, peer.Pid, os.Getuid())
	}
	return nil
}

//go:build linux && amd64

package sandbox

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// leaves tells that a call would reach a Unix socket of outside. The file system shows the host's sockets, and the
// kernel finds a socket by its file, wherever in the system it was made (unix_find_bsd of net/unix/af_unix.c; releases
// since 4.8 looked through overlayfs, too). What was made in here is in our table of sockets. A thread that changes the
// address while it is looked at isn't caught: the program isn't hostile, it only knows addresses of outside.
func leaves(n *notification) bool {
	pid := int(n.pid)
	switch n.nr {
	case unix.SYS_CONNECT:
		return outside(pid, n.args[1], n.args[2])
	case unix.SYS_SENDTO:
		return outside(pid, n.args[4], n.args[5])
	case unix.SYS_SENDMSG:
		return messageLeaves(pid, n.args[1])
	}
	for i := range min(n.args[2], maxMessages) {
		if messageLeaves(pid, n.args[1]+i*mmsghdrSize) {
			return true
		}
	}
	return false
}

// Of struct mmsghdr (recvmmsg(2)), and how many sendmmsg takes at once (UIO_MAXIOV).
const (
	mmsghdrSize = 64
	maxMessages = 1024
)

// messageLeaves looks at a struct msghdr: it begins with the address and its size.
func messageLeaves(pid int, at uint64) bool {
	var head [12]byte
	if at == 0 || read(pid, uintptr(at), head[:]) != nil {
		return false // the kernel knows what to say of it
	}
	return outside(pid, binary.NativeEndian.Uint64(head[:]), uint64(binary.NativeEndian.Uint32(head[8:])))
}

func outside(pid int, at, size uint64) bool {
	address := make([]byte, min(size, unix.SizeofSockaddrUnix))
	if at == 0 || len(address) < 3 || read(pid, uintptr(at), address) != nil ||
		binary.NativeEndian.Uint16(address) != unix.AF_UNIX || address[2] == 0 { // abstract names are the namespace's
		return false
	}
	path, _, _ := bytes.Cut(address[2:], []byte{0})
	socket, err := inodeOf(pid, string(path))
	if err != nil {
		return false // nothing is there
	}
	table, err := os.ReadFile("/proc/self/net/unix")
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(table)) {
		// Num RefCount Protocol Flags Type St Inode Path (proc_pid_net(5))
		f := strings.Fields(line)
		if len(f) < 8 || strings.HasPrefix(f[7], "@") {
			continue
		}
		if made, err := inodeOf(pid, strings.Join(f[7:], " ")); err == nil && made == socket {
			return false
		}
	}
	return true
}

// inodeOf names the file of a path, as a process sees it.
func inodeOf(pid int, path string) (id [2]uint64, err error) {
	if !filepath.IsAbs(path) {
		path = fmt.Sprintf("/proc/%d/cwd/%s", pid, path)
	}
	var st unix.Stat_t
	err = unix.Stat(path, &st)
	return [2]uint64{st.Dev, st.Ino}, err
}

func read(pid int, from uintptr, bytes []byte) error {
	local := []unix.Iovec{{Base: &bytes[0], Len: uint64(len(bytes))}}
	n, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: from, Len: len(bytes)}}, 0)
	if err == nil && n != len(bytes) {
		err = unix.EFAULT
	}
	return err
}

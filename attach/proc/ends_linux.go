//go:build amd64

package proc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ri/attach"
)

// Bounds of a search for other ends.
const (
	maxLinks = 1 << 20 // descriptors of all processes
	maxEnds  = 16      // told of one descriptor
)

// OtherEnds tells who has the other ends of a process's pipes and connections, by its descriptors: of a pipe those that
// write what it reads, and the other way round; of a TCP connection or a Unix socket those that have the socket which
// it is connected to, if that is on this machine. The process itself may be one of them. A descriptor that isn't in
// what is returned has no other end, or it isn't known where; one without anybody has one that nobody holds, as far as
// the processes could be looked into: how many couldn't is returned, too.
func OtherEnds(pid int, list []attach.Descriptor) (ends map[int][]attach.End, unread int, err error) {
	ends = map[int][]attach.End{}
	ours := map[string][]attach.Descriptor{} // by the name of what is to be looked for
	want := func(link string, d attach.Descriptor) {
		ours[link] = append(ours[link], d)
		ends[d.FD] = nil
	}
	peers := peersOf(pid, list)
	for _, d := range list {
		switch {
		case d.Kind == "pipe":
			want(d.Path, d)
		case d.Socket != nil && peers[d.FD] != "":
			want("socket:["+peers[d.FD]+"]", d)
		}
	}
	if len(ours) == 0 {
		return ends, 0, nil
	}
	unread, err = eachLink(func(holder, fd int, link string) {
		for _, d := range ours[link] {
			itself := holder == pid && fd == d.FD
			if itself || d.Kind == "pipe" && !opposite(d, holder, fd) || len(ends[d.FD]) == maxEnds {
				continue
			}
			ends[d.FD] = append(ends[d.FD], attach.End{PID: holder, Name: CommOf(holder), FD: fd})
		}
	}, ours)
	for _, found := range ends {
		slices.SortFunc(found, func(a, b attach.End) int {
			if a.PID != b.PID {
				return a.PID - b.PID
			}
			return a.FD - b.FD
		})
	}
	return ends, unread, err
}

// eachLink goes through the descriptors of all processes that lead to what is wanted. unread is how many processes
// couldn't be looked into.
func eachLink(yield func(pid, fd int, link string), wanted map[string][]attach.Descriptor) (unread int, err error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return 0, err
	}
	links := 0
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		folder := filepath.Join("/proc", name, "fd")
		entries, err := os.ReadDir(folder)
		if errors.Is(err, os.ErrPermission) {
			unread++
		}
		for _, e := range entries {
			if links++; links > maxLinks {
				return unread, fmt.Errorf("the processes here have more than %d descriptors", maxLinks)
			}
			fd, err := strconv.Atoi(e.Name())
			if err != nil {
				continue
			}
			if link, err := os.Readlink(filepath.Join(folder, e.Name())); err == nil && wanted[link] != nil {
				yield(pid, fd, link)
			}
		}
	}
	return unread, nil
}

// opposite tells whether a holder of a pipe has the end that a descriptor hasn't.
func opposite(d attach.Descriptor, pid, fd int) bool {
	other := attach.Descriptor{}
	readInfo(&other, fmt.Sprintf("/proc/%d/fdinfo/%d", pid, fd))
	if other.Err != "" {
		return false
	}
	mine, its := d.Flags&unix.O_ACCMODE, other.Flags&unix.O_ACCMODE
	return mine != unix.O_WRONLY && its != unix.O_RDONLY || mine != unix.O_RDONLY && its != unix.O_WRONLY
}

// peersOf gives the inodes of the sockets that a process's are connected to, by descriptor. Those of TCP have the two
// addresses the other way round, in the same network namespace; those of Unix sockets the kernel tells.
func peersOf(pid int, list []attach.Descriptor) map[int]string {
	peers := map[int]string{}
	tables := socketTables{folder: fmt.Sprintf("/proc/%d/net", pid)}
	byAddress := map[[2]string]string{}
	isUnix := false
	for _, d := range list {
		isUnix = isUnix || d.Socket != nil && d.Socket.Protocol == "unix"
		if d.Socket != nil && strings.HasPrefix(d.Socket.Protocol, "tcp") && d.Socket.Remote != "" && tables.all == nil {
			tables.read()
			for inode, s := range tables.all {
				if strings.HasPrefix(s.Protocol, "tcp") && s.Remote != "" && inode != "0" {
					byAddress[[2]string{s.Local, s.Remote}] = inode
				}
			}
		}
	}
	var byInode map[uint32]uint32
	if isUnix {
		byInode, _ = unixPeers(pid) // what isn't known isn't told
	}
	for _, d := range list {
		switch {
		case d.Socket == nil:
		case d.Socket.Protocol == "unix":
			inode, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(d.Path, "socket:["), "]"), 10, 32)
			if peer := byInode[uint32(inode)]; peer != 0 {
				peers[d.FD] = fmt.Sprint(peer)
			}
		case d.Socket.Remote != "":
			if inode := byAddress[[2]string{d.Socket.Remote, d.Socket.Local}]; inode != "" {
				peers[d.FD] = inode
			}
		}
	}
	return peers
}

// unixPeers asks the kernel for the peers of the Unix sockets of a process's network namespace, by inode
// (sock_diag(7), unix_diag). Of another namespace than ri's it has to be asked from inside, by a thread that ends
// there.
func unixPeers(pid int) (peers map[uint32]uint32, err error) {
	own, _ := os.Readlink("/proc/self/ns/net")
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, err
	}
	if own == theirs {
		return askUnixPeers()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		var ns int
		if ns, err = unix.Open(fmt.Sprintf("/proc/%d/ns/net", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return
		}
		defer unix.Close(ns)
		if err = unix.Setns(ns, unix.CLONE_NEWNET); err == nil {
			peers, err = askUnixPeers()
		}
	}()
	<-done
	return peers, err
}

// Of linux/unix_diag.h and linux/sock_diag.h.
const (
	sockDiagByFamily  = 20
	unixDiagShowPeer  = 4
	unixDiagPeer      = 2
	unixDiagMsgLength = 16 // of struct unix_diag_msg
)

func askUnixPeers() (map[uint32]uint32, error) {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	defer unix.Close(s)
	request := make([]byte, unix.NLMSG_HDRLEN+24) // struct unix_diag_req
	order := binary.NativeEndian
	order.PutUint32(request[0:], uint32(len(request)))
	order.PutUint16(request[4:], sockDiagByFamily)
	order.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	body := request[unix.NLMSG_HDRLEN:]
	body[0] = unix.AF_UNIX
	order.PutUint32(body[4:], 1<<32-1) // all states
	order.PutUint32(body[12:], unixDiagShowPeer)
	if err := unix.Sendto(s, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	peers := map[uint32]uint32{}
	answer := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(s, answer, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return peers, err
		}
		for rest := answer[:n]; len(rest) >= unix.NLMSG_HDRLEN; {
			size := int(order.Uint32(rest))
			if size < unix.NLMSG_HDRLEN || size > len(rest) {
				return peers, fmt.Errorf("sock_diag answers with a message of %d bytes: %w", size, unix.EPROTO)
			}
			switch order.Uint16(rest[4:]) {
			case unix.NLMSG_DONE:
				return peers, nil
			case unix.NLMSG_ERROR:
				return peers, fmt.Errorf("sock_diag: %w", unix.EPROTO)
			case sockDiagByFamily:
				notePeer(peers, rest[unix.NLMSG_HDRLEN:size])
			}
			rest = rest[min((size+3)&^3, len(rest)):]
		}
	}
}

// notePeer reads a struct unix_diag_msg and its attributes.
func notePeer(peers map[uint32]uint32, message []byte) {
	order := binary.NativeEndian
	if len(message) < unixDiagMsgLength {
		return
	}
	inode := order.Uint32(message[4:])
	for rest := message[unixDiagMsgLength:]; len(rest) >= 4; {
		size := int(order.Uint16(rest))
		if size < 4 || size > len(rest) {
			return
		}
		if order.Uint16(rest[2:]) == unixDiagPeer && size >= 8 {
			peers[inode] = order.Uint32(rest[4:])
		}
		rest = rest[min((size+3)&^3, len(rest)):]
	}
}

// Children gives a process's children, in the order of their pids. Those that have ended and were not waited for are
// among them.
func Children(pid int) (list []attach.Child, err error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	boot := bootTime()
	for _, name := range names {
		child, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		st, err := ReadStat(filepath.Join("/proc", name, "stat"))
		if err != nil || st.PPid != pid {
			continue
		}
		one := attach.Child{PID: child, Name: CommOf(child), State: string(rune(st.State)),
			Started: boot.Add(time.Duration(st.StartTime) * (time.Second / ticksPerSecond))}
		data, _ := os.ReadFile(filepath.Join("/proc", name, "cmdline"))
		for arg := range bytes.SplitSeq(bytes.TrimSuffix(data, []byte{0}), []byte{0}) {
			one.Command = append(one.Command, string(arg))
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b attach.Child) int { return a.PID - b.PID })
	return list, nil
}

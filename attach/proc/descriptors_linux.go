package proc

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"ri/attach"
)

// ReadDescriptors gives the open descriptors of the process whose files are in a folder, in order, from its fd and
// fdinfo, and its sockets from the tables of its own network namespace (net/tcp, tcp6, udp, udp6, unix: proc(5)). The
// process goes on meanwhile: a descriptor may be closed, or be another's, by the time that it is told of. The error is
// that of the file system.
func ReadDescriptors(folder string) ([]attach.Descriptor, error) {
	entries, err := os.ReadDir(folder + "/fd")
	if err != nil {
		return nil, err
	}
	var all []attach.Descriptor
	sockets := socketTables{folder: folder + "/net"}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		d := attach.Descriptor{FD: fd}
		d.Path, err = os.Readlink(folder + "/fd/" + e.Name())
		if Gone(err) {
			continue // closed meanwhile
		}
		if err != nil {
			d.Kind, d.Err = "?", err.Error()
			all = append(all, d)
			continue
		}
		readInfo(&d, folder+"/fdinfo/"+e.Name())
		d.Kind = kindOf(d.Path, folder+"/fd/"+e.Name())
		if inode, ok := strings.CutPrefix(d.Path, "socket:["); ok {
			d.Socket = sockets.find(strings.TrimSuffix(inode, "]"))
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b attach.Descriptor) int { return a.FD - b.FD })
	return all, nil
}

// readInfo reads pos and flags of /proc/PID/fdinfo/FD.
func readInfo(d *attach.Descriptor, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		d.Err = err.Error()
		return
	}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch name {
		case "pos":
			d.Position, _ = strconv.ParseInt(value, 10, 64)
		case "flags":
			flags, _ := strconv.ParseInt(value, 8, 64)
			d.Flags = int(flags)
		}
	}
}

// kindOf tells what a descriptor leads to, by its name; of what has a path, by what lies there.
func kindOf(path, link string) string {
	if name, ok := strings.CutPrefix(path, "anon_inode:"); ok {
		return strings.Trim(name, "[]")
	}
	if kind, _, ok := strings.Cut(path, ":["); ok && !strings.HasPrefix(path, "/") {
		return kind // pipe, socket, mnt, net
	}
	var st unix.Stat_t
	if unix.Stat(link, &st) != nil {
		return "file"
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFCHR, unix.S_IFBLK:
		return "device"
	case unix.S_IFIFO:
		return "pipe"
	}
	return "file"
}

// socketTables are the kernel's tables of sockets, read when a socket is asked for that isn't in them. The kernel gives
// them in pieces: while sockets come and go on a busy machine, one that is there all the while may be passed over.
type socketTables struct {
	folder string
	all    map[string]*attach.Socket // by inode
	reads  int
}

// mostReads is how often the tables are read for sockets that aren't found; those of other kinds are in none of them.
const mostReads = 3

func (t *socketTables) find(inode string) *attach.Socket {
	for t.all[inode] == nil && t.reads < mostReads {
		t.read()
	}
	if s := t.all[inode]; s != nil {
		return s
	}
	return &attach.Socket{Protocol: "?"}
}

func (t *socketTables) read() {
	t.reads++
	if t.all == nil {
		t.all = map[string]*attach.Socket{}
	}
	for _, protocol := range []string{"tcp", "tcp6", "udp", "udp6"} {
		data, _ := os.ReadFile(filepath.Join(t.folder, protocol)) // without IPv6 there is no such file
		for line := range strings.Lines(string(data)) {
			if inode, s := parseSocket(protocol, line); s != nil {
				t.all[inode] = s
			}
		}
	}
	data, _ := os.ReadFile(filepath.Join(t.folder, "unix"))
	for line := range strings.Lines(string(data)) {
		if inode, s := parseUnixSocket(line); s != nil {
			t.all[inode] = s
		}
	}
}

// tcpStates are numbered in include/net/tcp_states.h.
var tcpStates = []string{"?", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE",
	"CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV"}

// parseSocket reads a line of /proc/net/tcp and the like: "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000
// 00:00000000 00000000 0 0 4711 ...".
func parseSocket(protocol, line string) (inode string, s *attach.Socket) {
	f := strings.Fields(line)
	if len(f) < 10 || !strings.HasSuffix(f[0], ":") {
		return "", nil
	}
	s = &attach.Socket{Protocol: protocol}
	var ok1, ok2 bool
	s.Local, ok1 = parseAddress(f[1])
	s.Remote, ok2 = parseAddress(f[2])
	state, err := strconv.ParseUint(f[3], 16, 8)
	if !ok1 || !ok2 || err != nil {
		return "", nil
	}
	s.State = fmt.Sprintf("state %d", state)
	if int(state) < len(tcpStates) {
		s.State = tcpStates[state]
	}
	if strings.HasPrefix(protocol, "udp") && state == 7 {
		s.State = "" // not connected, which is nothing to say of it
	}
	send, receive, _ := strings.Cut(f[4], ":")
	s.Send, _ = strconv.ParseInt(send, 16, 64)
	s.Receive, _ = strconv.ParseInt(receive, 16, 64)
	return f[9], s
}

// SocketUser is the user of a TCP socket of this process's network namespace, by its own address and that of its other
// end.
func SocketUser(local, remote string) (int, error) {
	for range mostReads {
		for _, protocol := range []string{"tcp", "tcp6"} {
			data, _ := os.ReadFile("/proc/self/net/" + protocol) // without IPv6 there is no such file
			for line := range strings.Lines(string(data)) {
				if _, s := parseSocket(protocol, line); s != nil && s.Local == local && s.Remote == remote {
					return strconv.Atoi(strings.Fields(line)[7])
				}
			}
		}
	}
	return 0, fmt.Errorf("no socket %s to %s is in /proc/self/net/tcp", local, remote)
}

// parseAddress reads "0100007F:1F90": each four bytes as a number in the machine's order.
func parseAddress(text string) (string, bool) {
	address, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(address)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(b) != 4 && len(b) != 16 {
		return "", false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	ip, _ := netip.AddrFromSlice(b)
	if ip.IsUnspecified() && n == 0 {
		return "", true
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)).String(), true
}

// parseUnixSocket reads a line of /proc/net/unix: "0000000000000000: 00000002 00000000 00010000 0001 01 4711
// /run/x.sock".
func parseUnixSocket(line string) (inode string, s *attach.Socket) {
	f := strings.Fields(line)
	if len(f) < 7 || !strings.HasSuffix(f[0], ":") {
		return "", nil
	}
	s = &attach.Socket{Protocol: "unix"}
	flags, _ := strconv.ParseUint(f[3], 16, 32)
	switch {
	case flags&0x10000 != 0: // __SO_ACCEPTCON
		s.State = "LISTEN"
	case f[5] == "03":
		s.State = "CONNECTED"
	case f[5] == "02":
		s.State = "CONNECTING"
	case f[5] == "04":
		s.State = "DISCONNECTING"
	}
	if len(f) > 7 {
		s.Local = f[7]
	}
	return f[6], s
}

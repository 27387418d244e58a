package serve

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"ri/serve/pki"
	"ri/serve/request"
)

// caller is who asks on a connection.
type caller struct {
	name string
	role request.Role
	// credential is whose a request's process is, nil: the agent's own user. What that user could trace is what the
	// request can see.
	credential *syscall.Credential
	home       string
	// local is who has an account here: what the agent's worker can do for it, it can do itself.
	local bool
}

// identify says who is at the other end of a connection. Nobody is an error.
func (a *Agent) identify(conn net.Conn) (*caller, error) {
	if c, ok := conn.(*tls.Conn); ok {
		return a.holder(c)
	}
	if c, ok := conn.(*carried); ok {
		return c.caller, nil
	}
	if c, ok := conn.(*counted); ok {
		conn = c.Conn
	}
	if c, ok := conn.(*net.UnixConn); ok {
		return peer(c)
	}
	if a.TCPRole == request.None {
		return nil, fmt.Errorf("plain TCP says nothing of who you are, and this agent gives it no role (ri serve --tcp-role "+
			"viewer would): %w", request.ErrNotAllowed)
	}
	return &caller{name: "anybody", role: min(a.TCPRole, request.Viewer)}, nil
}

// carried is a connection from inside of the agent, for who signed what came by another way.
type carried struct {
	net.Conn
	caller *caller
}

type carriedBy string

func (carriedBy) Network() string  { return "database" }
func (c carriedBy) String() string { return string(c) }

// RemoteAddr implements net.Conn.
func (c *carried) RemoteAddr() net.Addr { return carriedBy("the fleet's database") }

// Connect gives a connection to the agent for somebody whose certificate was found good: it may what that says.
func (a *Agent) Connect(who pki.Holder) (net.Conn, error) {
	if err := pki.IsAsker(who); err != nil {
		return nil, err
	}
	role, err := request.ParseRole(who.Kind)
	if err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	a.all.Go(func() { a.server.Handle(a.serving, &carried{ours, &caller{name: who.Name, role: role}}) })
	return theirs, nil
}

// holder is who has the certificate at the other end.
func (a *Agent) holder(conn *tls.Conn) (*caller, error) {
	certs := conn.ConnectionState().PeerCertificates
	if a.Identity == nil || len(certs) == 0 {
		return nil, fmt.Errorf("%w: %w", pki.ErrNobody, request.ErrNotAllowed)
	}
	who, err := a.Identity.Good(certs[0], "")
	if err == nil {
		err = pki.IsAsker(who)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, request.ErrNotAllowed)
	}
	role, err := request.ParseRole(who.Kind)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, request.ErrNotAllowed)
	}
	return &caller{name: who.Name, role: role}, nil
}

// peer is who is at the other end of a Unix socket: the kernel says it.
func peer(conn *net.UnixConn) (*caller, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	fd := -1
	if err := raw.Control(func(s uintptr) {
		if cred, err = unix.GetsockoptUcred(int(s), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			fd, _ = unix.GetsockoptInt(int(s), unix.SOL_SOCKET, soPeerPIDFD)
		}
	}); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("SO_PEERCRED: %w", err)
	}
	if fd >= 0 {
		defer unix.Close(fd)
	}
	own := os.Geteuid()
	uid := int(cred.Uid)
	c := &caller{name: "uid " + strconv.Itoa(uid), role: request.Operator, local: true}
	u, err := user.LookupId(strconv.Itoa(uid))
	if err == nil {
		c.name, c.home = u.Username, u.HomeDir
	}
	if uid != own && own != 0 && uid != 0 {
		return nil, fmt.Errorf("you are %s, and the agent is of uid %d, which can't look with your rights: %w", c.name, own,
			request.ErrNotAllowed)
	}
	if err := within(int(cred.Pid), uid); err != nil {
		return nil, err
	}
	if fd >= 0 && unix.PidfdSendSignal(fd, 0, nil, 0) == unix.ESRCH {
		return nil, fmt.Errorf("you are gone: %w", request.ErrNotAllowed)
	}
	if uid == own || own != 0 {
		return c, nil
	}
	c.credential = &syscall.Credential{Uid: cred.Uid, Gid: cred.Gid}
	if u != nil {
		ids, _ := u.GroupIds()
		for _, id := range ids {
			if n, err := strconv.ParseUint(id, 10, 32); err == nil {
				c.credential.Groups = append(c.credential.Groups, uint32(n))
			}
		}
	}
	return c, nil
}

// soPeerPIDFD is SO_PEERPIDFD of linux/socket.h, Linux 6.5.
const soPeerPIDFD = 77

// within refuses who has the agent's user id but not what it stands for: in a container with the socket, which sees
// neither the processes here nor has the rights to trace them.
func within(pid, uid int) error {
	for _, kind := range []string{"user", "pid"} {
		ours, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			continue // a kernel without such
		}
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
		if err != nil {
			return fmt.Errorf("it can't be told in which namespaces you are (pid %d: %v): %w", pid, err, request.ErrNotAllowed)
		}
		if ours != theirs {
			return fmt.Errorf("you are in another %s namespace than the agent: %w", kind, request.ErrNotAllowed)
		}
	}
	if uid == os.Geteuid() || uid == 0 {
		ours, err1 := capabilities("self")
		theirs, err2 := capabilities(strconv.Itoa(pid))
		if err1 == nil && err2 == nil && ours&^theirs != 0 {
			return fmt.Errorf("you have fewer capabilities than the agent, and it can't look with less than it has: %w",
				request.ErrNotAllowed)
		}
	}
	return nil
}

func capabilities(pid string) (uint64, error) {
	text, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "CapEff:"); ok {
			return strconv.ParseUint(strings.TrimSpace(rest), 16, 64)
		}
	}
	return 0, os.ErrNotExist
}

// environment is that of the caller's own processes, as far as it is known.
func (c *caller) environment() []string {
	env := []string{"USER=" + c.name, "LOGNAME=" + c.name}
	if c.home != "" {
		env = append(env, "HOME="+c.home)
	}
	if path := os.Getenv("PATH"); path != "" {
		env = append(env, "PATH="+path)
	}
	return slices.Clip(env)
}

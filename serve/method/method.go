// Package method is where an agent is: the connection methods of ovsdb(7) (unix:FILE, ssl:HOST:PORT, tcp:HOST:PORT, and
// punix, pssl, ptcp that listen), how they are dialled and listened to, and the names that a user gave to them.
//
// What may not come in: what is said on a connection, who may do what.
package method

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// DefaultPort is OVSDB's.
const DefaultPort = "6640"

// Method is one way to an agent, or one place where it is waited for.
type Method struct {
	Passive bool // it listens
	TLS     bool
	Network string // unix or tcp
	Address string // a path, or HOST:PORT; of what listens the host may be empty: all addresses
	text    string
}

// Inside is the way to an agent from inside of it.
var Inside = Method{text: "the agent itself"}

// String is as it was written.
func (m Method) String() string { return m.text }

// Host is whom a certificate must name; "" where nobody is called.
func (m Method) Host() string {
	host, _, err := net.SplitHostPort(m.Address)
	if err != nil || m.Passive {
		return ""
	}
	host, _, _ = strings.Cut(host, "%")
	return host
}

const forms = "unix:FILE, ssl:HOST[:PORT], tcp:HOST[:PORT], punix:FILE, pssl:[PORT][:IP] or ptcp:[PORT][:IP]"

// ParseList reads methods, separated by commas.
func ParseList(text string) ([]Method, error) {
	var list []Method
	for one := range strings.SplitSeq(text, ",") {
		m, err := Parse(strings.TrimSpace(one))
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// Parse reads a method. IPv6 addresses stand in brackets, with a scope if need be: ssl:[fe80::1%eth0]:6640.
func Parse(text string) (Method, error) {
	kind, rest, found := strings.Cut(text, ":")
	m := Method{text: text, Network: "tcp"}
	fail := func(why string) (Method, error) {
		return m, fmt.Errorf("%q: %s; a method is %s", text, why, forms)
	}
	switch kind {
	case "punix", "unix":
		m.Network, m.Passive, m.Address = "unix", kind == "punix", rest
		if rest == "" {
			return fail("it names no file")
		}
		if len(rest) > 107 {
			return fail("a socket's path has 107 bytes at most")
		}
		return m, nil
	case "pssl", "ptcp":
		m.Passive, m.TLS = true, kind == "pssl"
		port, ip, _ := strings.Cut(rest, ":")
		if ip != "" {
			if _, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(ip, "["), "]")); err != nil {
				return fail(ip + " is no address")
			}
		}
		if port == "" {
			port = DefaultPort
		}
		if err := portOf(port, 0); err != nil {
			return fail(err.Error())
		}
		m.Address = net.JoinHostPort(strings.Trim(ip, "[]"), port)
		return m, nil
	case "ssl", "tcp":
		m.TLS = kind == "ssl"
		host, port := rest, DefaultPort
		switch {
		case strings.HasPrefix(rest, "["):
			inner, after, closed := strings.Cut(rest[1:], "]")
			if _, err := netip.ParseAddr(inner); err != nil || !closed || after != "" && after[0] != ':' {
				return fail("what stands in brackets is no address")
			}
			host = inner
			if after != "" {
				port = after[1:]
			}
		case strings.Count(rest, ":") == 1:
			host, port, _ = strings.Cut(rest, ":")
		case strings.Count(rest, ":") > 1:
			return fail("an address of IPv6 stands in brackets")
		}
		if host == "" {
			return fail("it names no host")
		}
		if err := portOf(port, 1); err != nil {
			return fail(err.Error())
		}
		m.Address = net.JoinHostPort(host, port)
		return m, nil
	}
	if !found {
		return fail("it names no kind of connection")
	}
	return fail(fmt.Sprintf("no kind of connection %q", kind))
}

func portOf(text string, least int) error {
	if n, err := strconv.Atoi(text); err != nil || n < least || n > 65535 {
		return fmt.Errorf("%q is no port", text)
	}
	return nil
}

// Published are the methods by which what listens can be called: at its address, else at each name that the host has.
func (m Method) Published(names []string) (out []string) {
	if !m.Passive {
		return nil
	}
	if m.Network == "unix" {
		path, err := filepath.Abs(m.Address)
		if err != nil {
			return nil
		}
		return []string{"unix:" + path}
	}
	ip, port, err := net.SplitHostPort(m.Address)
	if err != nil {
		return nil
	}
	if addr, err := netip.ParseAddr(ip); err == nil && !addr.IsUnspecified() {
		names = []string{ip}
	}
	kind := map[bool]string{true: "ssl:", false: "tcp:"}[m.TLS]
	for _, name := range names {
		out = append(out, kind+net.JoinHostPort(name, port))
	}
	return out
}

// Loopback tells whether only this machine can reach what listens.
func (m Method) Loopback() bool {
	if m.Network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(m.Address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Dial connects. config gives how TLS is spoken to a host.
func (m Method) Dial(ctx context.Context, config func(host string) *tls.Config) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, m.Network, m.Address)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && m.Network == "unix" {
			err = op.Err
		}
		return nil, fmt.Errorf("%s: %w", m, err)
	}
	impatient(conn)
	if !m.TLS {
		return conn, nil
	}
	secure := tls.Client(conn, config(m.Host()))
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", m, err)
	}
	return secure, nil
}

// Listen listens. A socket of the file system is its user's alone (mode 0600), and one that a dead agent left is
// replaced.
func (m Method) Listen() (net.Listener, error) {
	if m.Network != "unix" {
		l, err := net.Listen(m.Network, m.Address)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m, err)
		}
		return listener{l}, nil
	}
	if err := os.MkdirAll(filepath.Dir(m.Address), 0o755); err != nil {
		return nil, fmt.Errorf("%s: %w", m, err)
	}
	if info, err := os.Lstat(m.Address); err == nil {
		if info.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("%s: there is a file of that name", m)
		}
		if conn, err := net.Dial("unix", m.Address); err == nil {
			conn.Close()
			return nil, fmt.Errorf("%s: an agent listens there", m)
		}
		if err := os.Remove(m.Address); err != nil {
			return nil, fmt.Errorf("%s: %w", m, err)
		}
	}
	old := unix.Umask(0o177)
	l, err := net.Listen("unix", m.Address)
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m, err)
	}
	return l, nil
}

// listener gives connections that notice a peer that is gone.
type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		impatient(conn)
	}
	return conn, err
}

// impatient has the kernel end a connection whose other end no longer acknowledges, within half a minute.
func impatient(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 30_000)
	})
}

// DefaultSocket is where an agent of this user listens, if nothing else is said.
func DefaultSocket() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "ri", "agent.sock")
	}
	if os.Geteuid() == 0 {
		return "/run/ri/agent.sock"
	}
	return filepath.Join(os.TempDir(), "ri-"+strconv.Itoa(os.Geteuid()), "agent.sock")
}

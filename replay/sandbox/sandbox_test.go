//go:build linux && amd64

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// seen is what a program in a sandbox finds.
type seen struct {
	Error      string
	Notes      []string
	Now        int64
	PID        int
	Addresses  []string
	Dial       string // the error of dialling somebody outside
	Resolv     string
	Written    string // the error of writing into a file of the host
	Tmp        int    // entries of /tmp
	Settings   string // the error of changing a kernel's setting
	Exit       int
	Host       string
	Executable string
	Unix       string // the error of dialling a Unix socket of outside
	Own        string // of dialling one of its own
	Sent       string // of sending a packet to one of outside
	Refused    uint64
	Elsewhere  string // what somebody said who has a port that the program has, too
}

func TestMain(m *testing.M) {
	switch {
	case Inside():
		os.Exit(first())
	case os.Getenv("RI_SANDBOX_PROGRAM") != "":
		look()
		os.Exit(7)
	}
	os.Exit(m.Run())
}

// question is what the test's first process inside is asked.
type question struct {
	Binary, File string
	Host         string // a Unix socket of the host's; its packets are at Host + ".packets"
}

// first is the first process inside: it makes the sandbox and runs the program, which is this test, too.
func first() int {
	var s seen
	text, _, err := Job()
	var q question
	if err == nil {
		err = json.Unmarshal(text, &q)
	}
	if err == nil {
		s.Notes, err = Enter(&Root{Binary: q.Binary, Path: "/run/there/program", Dir: filepath.Dir(q.File), Host: "inside",
			Number:    true,
			Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")},
			Files: []File{{"/etc/resolv.conf", 0o644, func(w io.Writer) error {
				_, err := io.WriteString(w, "nameserver 192.0.2.7\n")
				return err
			}}}})
	}
	if err == nil {
		r, w, _ := os.Pipe()
		cmd := &exec.Cmd{Path: "/run/there/program", Args: []string{"program"}, Stdout: w, Stderr: os.Stderr,
			Env: []string{"RI_SANDBOX_PROGRAM=" + q.File, "RI_SANDBOX_HOST=" + q.Host}, Dir: filepath.Dir(q.File)}
		var p *Program
		ports := elsewhere()
		p, err = Run(cmd, "/run/there/program", Answers{PID: 4711, Now: func() int64 { return 1_000_000_000_123_456_789 },
			Elsewhere: func(network string, address netip.AddrPort) (uint16, bool) {
				port, ok := ports[network+" "+address.String()]
				return port, ok
			}})
		w.Close()
		if err == nil {
			json.NewDecoder(r).Decode(&s)
			<-p.Ended
			s.Exit, s.Refused, err = p.Exit, p.Refused(), p.Err()
		}
	}
	if err != nil {
		s.Error = err.Error()
	}
	json.NewEncoder(Report()).Encode(s)
	return 0
}

// elsewhere is who says over which network he was reached, at ports that the program doesn't know.
func elsewhere() map[string]uint16 {
	l, err := net.Listen("tcp", "192.0.2.7:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "tcp")
			c.Close()
		}
	}()
	packets, err := net.ListenPacket("udp", "[2001:db8::7]:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			_, from, err := packets.ReadFrom(make([]byte, 1))
			if err != nil {
				return
			}
			packets.WriteTo([]byte("udp"), from)
		}
	}()
	return map[string]uint16{"tcp 192.0.2.7:80": uint16(l.Addr().(*net.TCPAddr).Port),
		"udp [2001:db8::7]:80": uint16(packets.LocalAddr().(*net.UDPAddr).Port)}
}

// ask asks those who have a port that the program has, too.
func ask() (said string) {
	l, err := net.Listen("tcp", ":80")
	if err != nil {
		return err.Error()
	}
	defer l.Close()
	own, err := net.ListenPacket("udp", ":80")
	if err != nil {
		return err.Error()
	}
	defer own.Close()
	for _, to := range [][2]string{{"tcp", "192.0.2.7:80"}, {"udp", "[2001:db8::7]:80"}} {
		c, err := net.Dial(to[0], to[1])
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		answer := make([]byte, 10)
		c.Write(answer[:1])
		n, err := c.Read(answer)
		if err != nil {
			return err.Error()
		}
		said += string(answer[:n]) + " "
	}
	return said
}

// look is the program.
func look() {
	file := os.Getenv("RI_SANDBOX_PROGRAM")
	s := seen{Now: time.Now().UnixNano(), PID: os.Getpid()}
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		s.Addresses = append(s.Addresses, a.String())
	}
	if _, err := net.DialTimeout("tcp", "198.51.100.1:80", time.Minute); err != nil {
		s.Dial = err.Error()
	}
	s.Elsewhere = ask()
	resolv, _ := os.ReadFile("/etc/resolv.conf")
	s.Resolv = string(resolv)
	if err := os.WriteFile(file, []byte("changed"), 0o644); err != nil {
		s.Written = err.Error()
	}
	entries, _ := os.ReadDir("/tmp")
	s.Tmp = len(entries)
	if err := os.WriteFile("/proc/sys/kernel/hostname", []byte("x"), 0); err != nil {
		s.Settings = err.Error()
	}
	host := os.Getenv("RI_SANDBOX_HOST")
	if _, err := net.Dial("unix", host); err != nil {
		s.Unix = err.Error()
	}
	packets, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "own.packets"})
	if err == nil {
		to := &net.UnixAddr{Name: host + ".packets", Net: "unixgram"}
		_, err = packets.WriteTo([]byte("x"), to)
		if err == nil {
			err = errors.New("it was sent")
		}
		if _, _, more := packets.WriteMsgUnix([]byte("x"), nil, to); more == nil {
			err = errors.New("it was sent by sendmsg")
		}
	}
	s.Sent = fmt.Sprint(err)
	if _, err = net.Listen("unix", "own.socket"); err == nil {
		_, err = net.Dial("unix", filepath.Join(filepath.Dir(file), "own.socket"))
	}
	if err != nil {
		s.Own = err.Error()
	}
	s.Host, _ = os.Hostname()
	s.Executable, _ = os.Executable()
	json.NewEncoder(os.Stdout).Encode(s)
}

// TestSandbox: a program has the clock, the addresses and the files that it is given; what it changes isn't changed,
// and nobody outside can be reached.
func TestSandbox(t *testing.T) {
	home, err := os.MkdirTemp("/var/tmp", "ri-sandbox-") // /tmp is empty inside
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	file := filepath.Join(home, "file")
	if err := os.WriteFile(file, []byte("as it was"), 0o644); err != nil {
		t.Fatal(err)
	}
	host := filepath.Join(home, "host.socket")
	ln, err := net.Listen("unix", host)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	packets, err := net.ListenPacket("unixgram", host+".packets")
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	s := run(t, question{Binary: executable(t), File: file, Host: host})
	if s.Error != "" {
		t.Fatal(s.Error)
	}
	if !strings.Contains(s.Unix, "refused") || !strings.Contains(s.Sent, "refused") || s.Refused != 3 {
		t.Errorf("dialling a Unix socket of the host: %q; sending to one: %q; %d refused", s.Unix, s.Sent, s.Refused)
	}
	if s.Own != "" {
		t.Errorf("dialling a Unix socket of its own: %s", s.Own)
	}
	if s.Elsewhere != "tcp udp " {
		t.Errorf("who has a port that the program has, too, said %q", s.Elsewhere)
	}
	if s.Now != 1_000_000_000_123_456_789 {
		t.Errorf("the time was %d", s.Now)
	}
	// Another thread may take the number first, seldom.
	number := s.PID
	for range 5 {
		if number != 4711 {
			number = run(t, question{Binary: executable(t), File: file, Host: host}).PID
		}
	}
	if number != 4711 {
		t.Errorf("it is process %d", number)
	}
	for _, want := range []string{"127.0.0.1/8", "192.0.2.7/32", "2001:db8::7/128"} {
		if !strings.Contains(strings.Join(s.Addresses, " "), want) {
			t.Errorf("addresses: %q, without %s", s.Addresses, want)
		}
	}
	if !strings.Contains(s.Dial, "unreachable") {
		t.Errorf("dialling outside: %q", s.Dial)
	}
	if s.Resolv != "nameserver 192.0.2.7\n" || s.Tmp != 0 || s.Host != "inside" ||
		s.Executable != "/run/there/program" {
		t.Errorf("%+v", s)
	}
	if text, err := os.ReadFile(file); s.Written != "" || err != nil || string(text) != "as it was" {
		t.Errorf("the file has %q (%v), writing it said %q", text, err, s.Written)
	}
	if !strings.Contains(s.Settings, "read-only") {
		t.Errorf("a setting of the kernel was changed: %q", s.Settings)
	}
	if s.Exit != 7 {
		t.Errorf("exit code %d", s.Exit)
	}
}

// TestPassedOn: that a binary isn't there is told.
func TestPassedOn(t *testing.T) {
	s := run(t, question{Binary: "/nowhere", File: "/nowhere/file"})
	if !strings.Contains(s.Error, unix.ENOENT.Error()) {
		t.Errorf("%q", s.Error)
	}
}

func executable(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

func run(t *testing.T, q question) (s seen) {
	t.Helper()
	job, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(t.Context(), job, nil, os.Stderr, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(p.Report).Decode(&s); err != nil {
		t.Error(err)
	}
	if err := p.Wait(); err != nil {
		t.Error(fmt.Errorf("the first process: %w", err))
	}
	return s
}

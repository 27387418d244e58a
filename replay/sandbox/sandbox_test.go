//go:build linux && amd64

package sandbox

import (
	"encoding/json"
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
	Addresses  []string
	Dial       string // the error of dialling somebody outside
	Resolv     string
	Written    string // the error of writing into a file of the host
	Tmp        int    // entries of /tmp
	Settings   string // the error of changing a kernel's setting
	Exit       int
	Host       string
	Executable string
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
			Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")},
			Files: []File{{"/etc/resolv.conf", 0o644, func(w io.Writer) error {
				_, err := io.WriteString(w, "nameserver 192.0.2.7\n")
				return err
			}}}})
	}
	if err == nil {
		r, w, _ := os.Pipe()
		cmd := &exec.Cmd{Path: "/run/there/program", Args: []string{"program"}, Stdout: w, Stderr: os.Stderr,
			Env: []string{"RI_SANDBOX_PROGRAM=" + q.File}, Dir: filepath.Dir(q.File)}
		var p *Program
		p, err = Run(cmd, "/run/there/program", Answers{Now: func() int64 { return 1_000_000_000_123_456_789 }})
		w.Close()
		if err == nil {
			json.NewDecoder(r).Decode(&s)
			<-p.Ended
			s.Exit, err = p.Exit, p.Err()
		}
	}
	if err != nil {
		s.Error = err.Error()
	}
	json.NewEncoder(Report()).Encode(s)
	return 0
}

// look is the program.
func look() {
	file := os.Getenv("RI_SANDBOX_PROGRAM")
	s := seen{Now: time.Now().UnixNano()}
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		s.Addresses = append(s.Addresses, a.String())
	}
	if _, err := net.DialTimeout("tcp", "198.51.100.1:80", time.Minute); err != nil {
		s.Dial = err.Error()
	}
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
	s := run(t, question{Binary: executable(t), File: file})
	if s.Error != "" {
		t.Fatal(s.Error)
	}
	if s.Now != 1_000_000_000_123_456_789 {
		t.Errorf("the time was %d", s.Now)
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

package kernel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ri/probe"
	"ri/symbols/testprogram"
)

// Where somebody ends the process that keeps the probes, the session ends and says so, and the code is as it was.
func TestKeeperEnded(t *testing.T) {
	c := start(t, testprogram.Variant{})
	a, err := Arm(context.Background(), c.target, []probe.Probe{c.function("main.take", false)}, c.generous())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	killKeepers(t)
	if _, err := a.Next(context.Background()); !errors.Is(err, ErrKeeper) {
		t.Errorf("it ended with %v", err)
	}
	checkText(t, c)
}

// A session that is over leaves no process behind, no zombie either.
func TestKeeperLeavesNothing(t *testing.T) {
	c := start(t, testprogram.Variant{})
	a, err := Arm(context.Background(), c.target, []probe.Probe{c.function("main.take", false)}, c.generous())
	if err != nil {
		t.Fatal(err)
	}
	before := keepers(t)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if after := keepers(t); len(before) == 0 || len(after) != 0 {
		t.Errorf("keepers: %v, and then %v", before, after)
	}
}

func killKeepers(t *testing.T) {
	t.Helper()
	all := keepers(t)
	for _, pid := range all {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Error(err)
		}
	}
	if len(all) == 0 {
		t.Fatal("no keeper was found")
	}
}

// keepers are those that this process has started, and whose end it hasn't seen.
func keepers(t *testing.T) (pids []int) {
	t.Helper()
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		text, _ := os.ReadFile(path)
		for _, field := range strings.Fields(string(text)) {
			var pid int
			fmt.Sscan(field, &pid)
			if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); string(comm) == keeperName+"\n" {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// What comes to a keeper is read whole or not at all, and what is no message is an error.
func TestKeeperMessages(t *testing.T) {
	for _, send := range []string{"", "abc", "\x05\x00\x00\x00\x00\x00\x00\x00abc", strings.Repeat("\xff", 40)} {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		from, err := unixConn(fds[0])
		if err != nil {
			t.Fatal(err)
		}
		to, err := unixConn(fds[1])
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(from, send)
		from.Close()
		var o order
		if _, err := receive(to, &o); err == nil {
			t.Errorf("%q: %+v", send, o)
		}
		to.Close()
	}
}

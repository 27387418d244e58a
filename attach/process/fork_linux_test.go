//go:build amd64

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/core"
	"ri/attach/targettest"
)

// A process with a child between vfork and exec is looked at all the same, and told of; nothing is written to it.
func TestForking(t *testing.T) {
	p := targettest.Start(t, "-vfork", "-threads", "3")
	target := open(t, p.PID)
	for name, opt := range map[string]attach.ViewOptions{
		"stopped":  {Kind: attach.Stopped},
		"snapshot": {Kind: attach.Snapshot, Pages: []uint64{p.Address / attach.PageSize}},
		"bulk":     {Kind: attach.Snapshot, Bulk: true},
	} {
		t.Run(name, func(t *testing.T) {
			opt.MaxStop = time.Minute
			v, err := target.View(context.Background(), opt)
			if err != nil {
				t.Fatal(err)
			}
			defer v.Discard()
			said := v.Coverage()
			if len(said.Forking) != 1 || said.Check() != nil || len(v.Notes()) != 1 ||
				!strings.Contains(v.Notes()[0], "vfork") {
				t.Errorf("%+v, %q", said, v.Notes())
			}
			for _, th := range v.Threads() {
				if th.InnerID == said.Forking[0] {
					t.Error("it is among those whose registers are known")
				}
			}
			if len(v.Threads()) < 5 {
				t.Errorf("%d threads", len(v.Threads()))
			}
			buf := make([]byte, attach.PageSize)
			if _, err := v.ReadMemory(buf, p.Address&^(attach.PageSize-1)+attach.PageSize); err != nil {
				t.Error(err)
			}
			if w, ok := v.(attach.Writer); ok {
				n, err := w.WritePieces([]attach.Piece{{Addr: p.Address, Data: []byte{1}}})
				if n != 0 || !errors.Is(err, attach.ErrForking) {
					t.Errorf("%d bytes were written: %v", n, err)
				}
				_, err = v.(attach.Injector).Inject(unix.SYS_GETPID)
				if !errors.Is(err, attach.ErrForking) || !errors.Is(err, ErrInject) {
					t.Errorf("a system call was made: %v", err)
				}
			}
		})
	}
	path, written := ownCore(t, target, attach.CoreOptions{})
	if len(written.Notes) == 0 || !strings.Contains(strings.Join(written.Notes, "\n"), "vfork") {
		t.Errorf("the core: %q", written.Notes)
	}
	c, err := core.Open(path, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	checkCore(t, p, c)

	// The child ends at any moment of a stop, and the next one begins.
	for n := range rounds(20) {
		v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Stopped, MaxStop: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		for _, thread := range v.Coverage().Forking {
			data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.PID, thread))
			var child int
			if _, e := fmt.Sscan(string(data), &child); err != nil || e != nil {
				t.Fatalf("%q, %v, %v", data, err, e)
			}
			if err := unix.Kill(child, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		buf := make([]byte, p.Size)
		if _, err := v.ReadMemory(buf, p.Address); err != nil {
			t.Fatal(err)
		}
		targettest.CheckPattern(t, buf, 0)
		v.Close()
		for p.Ask("facts").Children <= int64(n) {
		}
	}
	if f := p.Ask("facts"); f.Errors != 0 {
		t.Errorf("%d errors", f.Errors)
	}
	p.GoesOn()
}

//go:build amd64

package process

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"ri/attach"
	"ri/attach/targettest"
)

// TestFrozen has a process of which all threads sleep such that nothing wakes them. It isn't waited for, who looks is
// told why, and that no longer stop would do; it is read without a stop; and when it goes on nobody traces it.
func TestFrozen(t *testing.T) {
	freezer, err := os.MkdirTemp("/sys/fs/cgroup/freezer", "ri-test")
	if err != nil {
		t.Skipf("there is no freezer of cgroup v1 here: %v", err)
	}
	set := func(file, value string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(freezer, file), []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	p := targettest.Start(t)
	t.Cleanup(func() { // before the target is ended
		set("freezer.state", "THAWED")
		_ = os.WriteFile("/sys/fs/cgroup/freezer/cgroup.procs", []byte(strconv.Itoa(p.PID)), 0)
		os.Remove(freezer)
	})
	target := open(t, p.PID)
	set("cgroup.procs", strconv.Itoa(p.PID))
	set("freezer.state", "FROZEN")
	_, err = target.View(context.Background(), attach.ViewOptions{Kind: attach.Snapshot})
	targettest.Refused(t, err, attach.ErrDeadline, "in state D", "stop when that is over", "--view live")
	v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if _, err := v.ReadMemory(make([]byte, 4096), p.Address); err != nil {
		t.Error(err)
	}
	set("freezer.state", "THAWED")
	p.GoesOn()
	again, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Snapshot})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

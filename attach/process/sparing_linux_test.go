//go:build amd64

package process

import (
	"testing"

	"golang.org/x/sys/unix"

	"ri/attach/targettest"
)

// TestSleepers attaches to threads that sleep and one that computes, interrupts only that one, and takes the others as
// they are: it sees who has slept all the time.
func TestSleepers(t *testing.T) {
	p := targettest.Start(t, "-threads", "20", "-busy", "1")
	tr, err := newTracer(open(t, p.PID), nil)
	if err != nil {
		t.Fatal(err)
	}
	var asleep, awake, still int
	done := make(chan struct{})
	go onTracerThread(func() {
		defer close(done)
		defer tr.close()
		tr.prepareThread()
		tr.spare = spareSleepers
		if err = tr.seizeNew(); err != nil {
			return
		}
		tr.lookAsleep(0)
		if tr.spareRest() {
			t.Error("threads are spared before any has stopped")
		}
		var buffer [512]byte
		for i := range tr.tracees {
			switch tid := tr.tracees[i].tid; {
			case tr.tracees[i].sleep.runs == 0:
				awake++
				ptrace(unix.PTRACE_INTERRUPT, tid, 0, 0)
			default:
				asleep++
				if tr.timesRun(tid, buffer[:]) == tr.tracees[i].sleep.runs {
					still++
				}
			}
		}
		var pause backoff
		for len(tr.threads) == 0 && awake > 0 {
			for i := range tr.tracees {
				if tr.tracees[i].sleep.runs == 0 {
					tr.poll(&tr.tracees[i])
				}
			}
			pause.wait(false, 0)
		}
		tr.detach()
	})
	<-done
	tr.waitForEnd()
	if err != nil {
		t.Fatal(err)
	}
	if asleep < 20 || still < 20 || awake == 0 {
		t.Errorf("of %d threads %d were asleep, %d of them still later, and %d awake", len(tr.tracees), asleep, still,
			awake)
	}
	p.GoesOn()
}

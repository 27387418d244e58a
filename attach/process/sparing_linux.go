//go:build amd64

package process

import (
	"time"
)

// A thread needs a CPU to come to its stop, also one that sleeps in the kernel: it is woken for that. On a machine with
// much to do it may wait for one for long, and the other threads stand meanwhile. So a copy, where a first try to stop
// all threads was in vain, is made without some of them.
//
// Memory holds still without them. Once PTRACE_INTERRUPT has come, a thread executes no more instruction of the
// program: one that runs on another CPU is interrupted there, and one that is in the kernel, asleep or displaced by
// others, comes to its stop on the way out. Nor does it start threads: clone(2) begins anew where a stop is wanted, and
// what it started before is in the list of threads that is read after the interrupt. What the kernel may yet do is to
// fill a buffer that a call of that thread gave it.
//
// What is lost is their registers. Of a thread that sleeps in a system call, and has not run since, nobody asks for
// them: the runtime has noted where its goroutine stands. So the second try spares those. Only the last one spares
// threads that were displaced at work: their goroutines' stacks are not known. That a thread has not run says
// /proc/PID/task/TID/schedstat, which counts how often it was given a CPU.

// sparing says which threads need not come to a stop.
type sparing uint8

const (
	spareNone     sparing = iota
	spareSleepers         // those that sleep in a system call
	// all but those that sleep and can't be woken: one may wait for a child that shares the memory (vfork)
	spareAll
)

// Where there are very many threads, those asleep are spared in every stop, so that 5,000 of them hold the target for
// some 20 ms. What is asked of their registers, where they stand, the kernel says (proc_pid_syscall(5)). Some have
// to come to a stop all the same: an injected call needs a thread.
const mustStop = 32

// spareAfter is how long no thread has come to its stop before the rest are spared.
const spareAfter = 2 * time.Millisecond

// lookAsleep notes which of the threads that were attached to last are asleep.
func (t *tracer) lookAsleep(from int) {
	var buffer [512]byte
	for i := from; i < len(t.tracees); i++ {
		tr := &t.tracees[i]
		if s, ok := t.asleepIn(tr.tid, buffer[:]); ok {
			tr.sleep = s
		}
	}
}

// spareRest takes the threads that are waited for off the list, if all of them may be spared. Some other must have
// stopped: while it does, the process can't start another program or end in silence.
func (t *tracer) spareRest() bool {
	if len(t.threads) == 0 {
		return false
	}
	var buffer [512]byte
	for pass := range 2 {
		for i := range t.tracees {
			tr := &t.tracees[i]
			switch {
			case tr.state != traceeSeized:
			case pass == 1:
				tr.state = traceeSpared
			case t.spare == spareAll:
				if s := t.stateOf(tr.tid, buffer[:]); s != 'R' && s != 'S' {
					return false
				}
			case tr.sleep.runs == 0 || t.timesRun(tr.tid, buffer[:]) != tr.sleep.runs:
				return false
			}
		}
	}
	return true
}

// spareAsleep takes those off the list that have not run since they were seen asleep, and were interrupted then: each
// by itself, as many others may be on their way to a stop.
func (t *tracer) spareAsleep() (left int) {
	for i := range t.tracees {
		switch tr := &t.tracees[i]; {
		case tr.state != traceeSeized:
		case tr.sleep.runs != 0 && t.timesRun(tr.tid, t.buffer[:]) == tr.sleep.runs:
			tr.state = traceeSpared
		default:
			left++
		}
	}
	return left
}

// displaced counts the threads that were spared and whose registers somebody may ask for: they were at work.
func (t *tracer) displaced() (n int) {
	for i := range t.tracees {
		if t.tracees[i].state == traceeSpared && t.tracees[i].sleep.runs == 0 {
			n++
		}
	}
	return n
}

//go:build linux && amd64

package player

import (
	"bytes"
	"crypto/sha256"
)

// verdict is what became of an output.
type verdict struct {
	state  state
	offset int    // of the first byte that differs
	came   []byte // what came instead, from the output's beginning
	own    bool   // it is equal but for secrets of the program's own making
}

type state uint8

const (
	open    state = iota // not yet looked at
	equal                // the same bytes came
	unknown              // as many came, and the recording doesn't know which
	differs              // others came
	missing              // it never came
)

// compare looks whether bytes are those that were recorded.
func (o *output) compare(came []byte) verdict {
	kept := min(len(o.data), len(came))
	own := false
	for i := 0; i < kept; i++ {
		if o.data[i] == came[i] {
			continue
		}
		to := o.tokens.covers(o.data, i)
		if to <= i {
			return verdict{state: differs, offset: i, came: came}
		}
		i, own = to-1, true
	}
	switch {
	case kept < len(o.data):
		return verdict{state: differs, offset: kept, came: came}
	case o.size == int64(kept):
		return verdict{state: equal, own: own}
	case len(o.digest) == 0:
		return verdict{state: unknown}
	}
	sum := sha256.Sum256(came[kept:])
	if !bytes.Equal(sum[:], o.digest) {
		return verdict{state: differs, offset: kept, came: came}
	}
	return verdict{state: equal}
}

// begins tells that bytes may be the beginning of the output.
func (o *output) begins(came []byte) bool {
	n := min(len(came), len(o.data))
	return bytes.Equal(came[:n], o.data[:n])
}

// judge compares what comes on a connection with what was recorded, by stream. It decides at the recording's
// boundaries, wherever the program's writes end.
type judge struct {
	outs  []*output
	done  int // outputs that are decided
	due   int // outputs that the recording has before what is played next
	given int // outputs that nobody waits for any more
	buf   []byte
	ended bool // the program closed
	off   bool // something of another size may have come: what is in buf begins nowhere in particular
	extra int64
}

// waiting is how many outputs are waited for.
func (j *judge) waiting() int { return max(0, j.due-max(j.done, j.given)) }

// add takes bytes that came.
func (j *judge) add(came []byte) {
	j.buf = append(j.buf, came...)
	j.decide()
}

// close notes that the program closed: nothing comes any more.
func (j *judge) close() {
	j.ended = true
	j.decide()
	j.finish()
}

func (j *judge) decide() {
	for j.done < len(j.outs) {
		o := j.outs[j.done]
		if o.end {
			return // until it is closed
		}
		if int64(len(j.buf)) < o.size {
			return
		}
		v := o.compare(j.buf[:o.size])
		if v.state == differs && j.skip() {
			continue
		}
		if v.state == differs {
			v.came = bytes.Clone(v.came)
			j.off = true
		} else if o.size > 0 && v.state == equal {
			j.off = false
		}
		o.verdict = v
		j.buf = j.buf[o.size:]
		j.done++
	}
	if len(j.buf) == 0 {
		j.buf = nil // what was cut off in front is let go
	}
}

// skip looks whether what came is an output behind some that were given up: those are missing then.
func (j *judge) skip() bool {
	for k := j.done + 1; k < len(j.outs) && k <= j.given; k++ {
		o := j.outs[k]
		if o.end || int64(len(j.buf)) < o.size || o.compare(j.buf[:o.size]).state != equal {
			continue
		}
		for _, lost := range j.outs[j.done:k] {
			lost.state = missing
		}
		j.done = k
		return true
	}
	return false
}

// short gives up what is waited for, as nothing moves any more. It tells how many outputs that were.
func (j *judge) short() int {
	n := j.waiting()
	j.given = max(j.given, j.due)
	return n
}

// unsettled tells that what is in buf doesn't fit, so that the turn's end has to be waited for.
func (j *judge) unsettled() bool {
	if j.done >= len(j.outs) || j.done >= j.due {
		return j.off && len(j.buf) > 0
	}
	return len(j.buf) > 0 && !j.outs[j.done].begins(j.buf) || j.off
}

// settle ends a turn in which something differed: what comes next belongs to the next turn. Nothing moves when it is
// called.
func (j *judge) settle() {
	if j.done < j.due && len(j.buf) > 0 && !j.outs[j.done].end {
		o := j.outs[j.done]
		o.verdict = verdict{state: differs, offset: firstDifference(o.data, j.buf),
			came: bytes.Clone(j.buf)}
		j.done++
		j.buf = nil
	}
	for ; j.done < j.due && !j.outs[j.done].end; j.done++ {
		j.outs[j.done].state = missing
	}
	j.extra += int64(len(j.buf))
	j.buf, j.off = nil, false
}

// finish decides what is left at the end.
func (j *judge) finish() {
	if j.done < len(j.outs) && len(j.buf) > 0 && !j.outs[j.done].end {
		o := j.outs[j.done]
		o.verdict = verdict{state: differs, offset: firstDifference(o.data, j.buf),
			came: bytes.Clone(j.buf)}
		j.done++
		j.buf = nil
	}
	for ; j.done < len(j.outs); j.done++ {
		o := j.outs[j.done]
		if o.state = missing; o.end && j.ended {
			o.state = equal
		}
	}
	j.extra += int64(len(j.buf))
	j.buf = nil
}

func firstDifference(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

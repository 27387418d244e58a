//go:build linux && amd64

package player

import (
	"bytes"
	"crypto/sha256"
	"time"
)

// verdict is what became of an output.
type verdict struct {
	state  state
	offset int    // of the first byte that differs
	came   []byte // what came instead, from the output's beginning
	own    bool   // it is equal but for secrets of the program's own making
	by     []int  // it is equal but for what these rules say may differ
	moved  bool   // it is equal, and came before others that the recording has before it
	first  []byte // what came in its place first, and is an output behind it
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
func (o *output) begins(c *conn, came []byte) bool {
	n := min(len(came), len(o.data))
	if bytes.Equal(came[:n], o.data[:n]) {
		return true
	}
	n, _, more := o.loosely(c, came, false)
	return n >= 0 || more
}

// judge compares what comes on a connection with what was recorded, by stream. It decides at the recording's
// boundaries, wherever the program's writes end.
type judge struct {
	of    *conn
	outs  []*output
	done  int // outputs that are decided
	due   int // outputs that the recording has before what is played next
	given int // outputs that nobody waits for any more
	reads int // that were played
	buf   []byte
	ended bool // the program closed
	off   bool // something of another size may have come: what is in buf begins nowhere in particular
	extra int64
}

// waiting is how many outputs are waited for.
func (j *judge) waiting() int { return max(0, j.due-max(j.done, j.given)) }

// owes tells that outputs haven't come which the recording has before what was played last.
func (j *judge) owes() bool { return j.done < j.due && !j.ended && !j.outs[j.done].end }

// add takes bytes that came.
func (j *judge) add(came []byte) {
	j.buf = append(j.buf, came...)
	j.decide(false)
}

// close notes that the program closed: nothing comes any more.
func (j *judge) close() {
	j.ended = true
	j.finish()
}

// decide decides what can be: last tells that nothing follows what came.
func (j *judge) decide(last bool) {
	for j.next() {
		o := j.outs[j.done]
		if o.end {
			return // until it is closed
		}
		size, v, more := o.take(j.of, j.buf, last)
		if more {
			return
		}
		if v.state == differs && (j.skip() || j.swap()) {
			continue
		}
		if v.state == differs {
			at, more := j.follows(last)
			if more {
				return
			}
			if at >= 0 {
				size, v.came = int64(at), j.buf[:at]
				v.offset = min(v.offset, at)
			}
		}
		if v.state == differs {
			v.came = bytes.Clone(v.came)
			j.off = true
		} else if o.size > 0 && v.state == equal {
			j.off = false
		}
		o.verdict = v
		o.loose.pass(v)
		j.buf = j.buf[size:]
		j.done++
	}
	if len(j.buf) == 0 {
		j.buf = nil // what was cut off in front is let go
	}
}

// shift is how much longer or shorter than recorded an output is at most, with which it is told where it ends.
const shift = 1024

// mark is how much of an output finds it behind one of another length.
const mark = 64

// follows looks for the output behind one that differs, which may be of another length: where it begins, -1 if that
// isn't known. more tells that it may be seen when more came.
func (j *judge) follows(last bool) (at int, more bool) {
	o := j.outs[j.done]
	if j.done+1 >= len(j.outs) || o.size > 1<<20 {
		return -1, false
	}
	next := j.outs[j.done+1]
	begins := next.data[:min(mark, len(next.data))]
	if next.end || next.turn != o.turn || len(begins) < mark/4 {
		return -1, false
	}
	if len(j.buf) < int(o.size)+shift+len(begins) && !last {
		return -1, true
	}
	from := max(0, int(o.size)-shift)
	within := j.buf[min(from, len(j.buf)):min(len(j.buf), int(o.size)+shift+len(begins))]
	at = -1
	for i := 0; ; i++ {
		n := bytes.Index(within[i:], begins)
		if n < 0 {
			return at, false
		}
		if i += n; at < 0 || distance(from+i, int(o.size)) < distance(at, int(o.size)) {
			at = from + i
		}
	}
}

func distance(a, b int) int { return max(a-b, b-a) }

// next passes by outputs that came before their place, and tells whether any is left to be decided.
func (j *judge) next() bool {
	for j.done < len(j.outs) && j.outs[j.done].state != open {
		j.done++
	}
	return j.done < len(j.outs)
}

// skip looks whether what came is an output behind some that were given up: those are missing then.
func (j *judge) skip() bool {
	for k := j.done + 1; k < len(j.outs) && k <= j.given; k++ {
		o := j.outs[k]
		if o.end || o.state != open {
			continue
		}
		if _, v, more := o.take(j.of, j.buf, true); more || v.state != equal {
			continue
		}
		for _, lost := range j.outs[j.done:k] {
			lost.lose()
		}
		j.done = k
		return true
	}
	return false
}

// reach is how many outputs, and how long, something may come before its place.
const (
	reach     = 64
	reachTime = 50 * time.Millisecond
)

// swap looks whether what came is an output that the recording has a little later: what several goroutines have for one
// connection, it writes in the order in which they come to it. What the program has not read the question of can't be
// its answer, and is none.
func (j *judge) swap() bool {
	before := j.outs[j.done]
	for k := j.done + 1; k < min(len(j.outs), j.done+reach); k++ {
		o := j.outs[k]
		if o.end || o.at-before.at > int64(reachTime) || k >= j.due && o.turn > j.reads {
			return false
		}
		if o.state != open || o.size == 0 {
			continue
		}
		size, v, more := o.take(j.of, j.buf, true)
		if more || v.state != equal {
			continue
		}
		if before.first == nil {
			before.first = bytes.Clone(j.buf[:size])
		}
		v.moved, v.first = true, o.first
		o.verdict = v
		o.loose.pass(v)
		j.buf = j.buf[size:]
		return true
	}
	return false
}

// reorder is for when nothing moves: it tells whether what came fits somewhere.
func (j *judge) reorder() bool {
	done, size := j.done, len(j.buf)
	for j.next() && len(j.buf) > 0 && j.swap() {
		j.decide(false)
	}
	return j.done != done || len(j.buf) != size
}

// lose notes that an output won't come any more, or that what it was to be is something else.
func (o *output) lose() {
	switch {
	case o.state != open:
	case o.first != nil:
		o.verdict = verdict{state: differs, offset: firstDifference(o.data, o.first), came: o.first}
	default:
		o.state = missing
	}
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
	return len(j.buf) > 0 && !j.outs[j.done].begins(j.of, j.buf) || j.off
}

// settle ends a turn in which something differed: what comes next belongs to the next turn. Nothing moves when it is
// called.
func (j *judge) settle() {
	j.decide(true)
	if j.done < j.due && len(j.buf) > 0 && !j.outs[j.done].end {
		o := j.outs[j.done]
		o.verdict = verdict{state: differs, offset: firstDifference(o.data, j.buf),
			came: bytes.Clone(j.buf)}
		j.done++
		j.buf = nil
	}
	for ; j.done < j.due && !j.outs[j.done].end; j.done++ {
		j.outs[j.done].lose()
	}
	j.next()
	j.extra += int64(len(j.buf))
	j.buf, j.off = nil, false
}

// finish decides what is left at the end.
func (j *judge) finish() {
	j.decide(true)
	if j.done < len(j.outs) && len(j.buf) > 0 && !j.outs[j.done].end {
		o := j.outs[j.done]
		o.verdict = verdict{state: differs, offset: firstDifference(o.data, j.buf),
			came: bytes.Clone(j.buf)}
		j.done++
		j.buf = nil
	}
	for ; j.done < len(j.outs); j.done++ {
		o := j.outs[j.done]
		if o.lose(); o.end && j.ended {
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

//go:build linux && amd64

package player

import (
	"bytes"
	"net"
	"regexp"
	"slices"
	"strings"
)

// loose are the rules of what may differ, and what they passed.
type loose struct {
	rules   []Rule
	regexps []*regexp.Regexp
	passed  []int // outputs, by rule
}

func newLoose(rules []Rule) (*loose, error) {
	x := &loose{rules: rules, passed: make([]int, len(rules))}
	for _, r := range rules {
		e, err := r.compile()
		if err != nil {
			return nil, err
		}
		x.regexps = append(x.regexps, e)
	}
	return x, nil
}

// span is what a rule says of bytes: those from, to may be others.
type span struct{ from, to, rule int }

// spans are those of the rules that are for a connection, in order, none over another.
func (x *loose) spans(c *conn, b []byte) (all []span) {
	for n, e := range x.regexps {
		if peer := x.rules[n].Peer; peer != "" && !c.isAt(peer) {
			continue
		}
		for _, at := range e.FindAllSubmatchIndex(b, -1) {
			if len(at) == 2 {
				all = append(all, span{at[0], at[1], n})
			}
			for i := 2; i+1 < len(at); i += 2 {
				if at[i] >= 0 {
					all = append(all, span{at[i], at[i+1], n})
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b span) int { return a.from - b.from })
	kept := all[:0]
	for _, s := range all {
		if n := len(kept); n == 0 || s.from >= kept[n-1].to {
			kept = append(kept, s)
		}
	}
	return kept
}

// isAt tells whether an address of a rule is the connection's.
func (c *conn) isAt(address string) bool {
	if c == nil || address == c.peer || address == c.local {
		return c != nil
	}
	if port, ok := strings.CutPrefix(address, ":"); ok {
		_, theirs, _ := net.SplitHostPort(c.peer)
		_, ours, _ := net.SplitHostPort(c.local)
		return port == theirs || port == ours
	}
	return false
}

// window is how much longer than the recorded one an output may be by what may differ.
const window = 4096

// take gives how many bytes of what came are the output, and whether they are as recorded, or but for what may differ.
// more tells that it can't be told before more came, and never is if nothing follows.
func (o *output) take(c *conn, buf []byte, last bool) (n int64, v verdict, more bool) {
	if int64(len(buf)) >= o.size {
		if v = o.compare(buf[:o.size]); v.state != differs {
			return o.size, v, false
		}
	}
	if n, by, more := o.loosely(c, buf, last); n >= 0 || more {
		return int64(n), verdict{state: equal, by: by}, more
	}
	if o.fields { // of another length they end where they end
		if at := bytes.Index(buf, []byte("\r\n\r\n")); at >= 0 {
			n := at + len("\r\n\r\n")
			if v.state == open {
				v = o.compare(buf[:n])
			}
			v.came = buf[:n]
			return int64(n), v, false
		}
		return o.size, v, !last || int64(len(buf)) < o.size
	}
	return o.size, v, int64(len(buf)) < o.size
}

// loosely looks whether what came begins with the output but for what may differ; n is below 0 if not.
func (o *output) loosely(c *conn, buf []byte, last bool) (n int, by []int, more bool) {
	if o.loose == nil || len(o.loose.rules) == 0 || o.size == 0 || int64(len(o.data)) != o.size {
		return -1, nil, false
	}
	if !o.looked {
		o.may, o.looked = o.loose.spans(c, o.data), true
	}
	if len(o.may) == 0 {
		return -1, nil, false
	}
	buf = buf[:min(len(buf), len(o.data)+window)]
	came := o.loose.spans(c, buf)
	at, from := 0, 0
	for i := 0; ; i++ {
		to := len(o.data)
		if i < len(o.may) {
			to = o.may[i].from
		}
		literal := o.data[from:to]
		have := buf[at:min(len(buf), at+len(literal))]
		if !o.same(from, have) {
			return -1, nil, false
		}
		if len(have) < len(literal) {
			return -1, nil, !last
		}
		at += len(literal)
		if i == len(o.may) {
			return at, by, false
		}
		for len(came) > 0 && came[0].from < at {
			came = came[1:]
		}
		if len(came) == 0 || came[0].from != at || came[0].rule != o.may[i].rule {
			return -1, nil, at == len(buf) && !last
		}
		if came[0].to == len(buf) && len(buf) < len(o.data)+window && o.may[i].to < len(o.data) {
			return -1, nil, !last
		}
		end := came[0].to
		if o.may[i].to == len(o.data) { // the output ends in it: no more than it has is its own
			end = min(end, at+o.may[i].to-o.may[i].from)
		}
		if recorded := o.data[o.may[i].from:o.may[i].to]; !bytes.Equal(recorded, buf[at:end]) {
			by = append(by, o.may[i].rule)
		}
		at, from = end, o.may[i].to
	}
}

// same tells whether bytes are those of the output at an offset, or secrets of the program's own making.
func (o *output) same(from int, came []byte) bool {
	for i := 0; i < len(came); i++ {
		if o.data[from+i] == came[i] {
			continue
		}
		to := o.tokens.covers(o.data, from+i)
		if to <= from+i {
			return false
		}
		i = to - from - 1
	}
	return true
}

// pass counts what the rules passed.
func (x *loose) pass(v verdict) {
	if x == nil {
		return
	}
	for i, n := range v.by {
		if !slices.Contains(v.by[:i], n) {
			x.passed[n]++
		}
	}
}

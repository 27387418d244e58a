//go:build linux && amd64

package player

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"
)

// What goroutines have for one connection may come in another order: each output is found again, and what came before
// its place is told apart. What never comes is missing, or differs where something else came first.
func TestOrder(t *testing.T) {
	const states = "?=!x-" // open, equal, unknown, differs, missing; + is moved
	for _, c := range []struct {
		name, recorded, came string // by blanks; | is where the next was read; ~ is later by a second
		due                  int
		want                 string
	}{
		{"as recorded", "aaa bb cccc", "aaa bb cccc", 3, "==="},
		{"two change places", "aaa bb cccc", "bb aaa cccc", 3, "=+="},
		{"three do", "aaa bb cccc d", "cccc bb aaa d", 4, "=++="},
		{"none is due yet", "aaa bb", "bb aaa", 0, "=+"},
		{"one is left out", "aaa bb cccc", "bb cccc", 3, "x++"},
		{"another one comes", "aaa bb cccc", "xyz bb cccc", 3, "x=="},
		{"what was not asked for yet is no answer", "aaa |aab", "aab", 0, "x-"},
		{"and is one if the recording has it before", "aaa |aab", "aab aaa", 2, "=+"},
		{"what comes much later isn't meant", "aaa ~aab", "aab aaa", 2, "xx"},
	} {
		for _, known := range []bool{true, false} {
			j := judge{of: &conn{}, due: c.due}
			turn, at := 0, time.Duration(0)
			for _, text := range strings.Fields(c.recorded) {
				if strings.HasPrefix(text, "|") {
					turn++
				}
				if at += time.Microsecond; strings.HasPrefix(text, "~") {
					at += time.Second
				}
				text = strings.Trim(text, "|~")
				o := &output{size: int64(len(text)), turn: turn, at: int64(at)}
				if sum := sha256.Sum256([]byte(text)); known {
					o.data = []byte(text)
				} else {
					o.digest = sum[:]
				}
				j.outs = append(j.outs, o)
			}
			for _, text := range strings.Fields(c.came) {
				j.add([]byte(text))
			}
			j.reorder()
			j.close()
			got := ""
			for _, o := range j.outs {
				if o.moved {
					got += "+"
				} else {
					got += states[o.state : o.state+1]
				}
			}
			if got != c.want || j.done != len(j.outs) {
				t.Errorf("%s (bytes known: %v): %s, not %s", c.name, known, got, c.want)
			}
		}
	}
}

// TestFieldsCut: header fields of HTTP/2 that don't come, or not to their end, are missing or differ.
func TestFieldsCut(t *testing.T) {
	for _, c := range []struct {
		came string
		want state
	}{{"", missing}, {":status: 200\r\n", differs}, {":status: 500\r\na: 1\r\nb: 2\r\n", differs},
		{"a: 1\r\n\r\n", differs}} {
		data := []byte(":status: 200\r\na: 1\r\n\r\n")
		o := &output{size: int64(len(data)), data: data, fields: true}
		j := judge{of: &conn{}, outs: []*output{o}, due: 1}
		j.add([]byte(c.came))
		if j.close(); o.state != c.want {
			t.Errorf("%q: %v, want %v", c.came, o.state, c.want)
		}
	}
}

// TestShift: an output that is longer or shorter than recorded doesn't make those behind it differ.
func TestShift(t *testing.T) {
	for _, came := range []string{"count 9", "count 99100", "", "count 100"} {
		j := judge{of: &conn{}, due: 3}
		var all []string
		for i, text := range []string{"count 100", strings.Repeat("the second, which is long ", 4),
			strings.Repeat("the third ", 9)} {
			j.outs = append(j.outs, &output{event: i, size: int64(len(text)), data: []byte(text)})
			all = append(all, text)
		}
		want := differs
		if came == all[0] {
			want = equal
		}
		all[0] = came
		for _, b := range []byte(strings.Join(all, "")) {
			j.add([]byte{b})
		}
		j.settle()
		if j.outs[0].state != want || j.outs[1].state != equal || j.outs[2].state != equal || j.extra != 0 {
			t.Errorf("%q: %v %v %v, %d bytes more", came, j.outs[0].state, j.outs[1].state, j.outs[2].state, j.extra)
		}
	}
}

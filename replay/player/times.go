//go:build linux && amd64

package player

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"ri/record/streams"
)

// named are the times that outputs name: what the program had from its clock it says at once, or much later and to
// somebody else.
type named struct {
	of  map[int][]int64 // by the output's event, as they stand there
	all []nameOf        // by time
}

// nameOf is a time that an output names.
type nameOf struct {
	time  int64
	event int
}

// Bounds of what is looked through for times.
const (
	mostRead  = 16 << 10 // of one output
	mostTimes = 64       // likewise
	mostNamed = 1 << 22
)

func newNamed(events []streams.Event) (n named) {
	n.of = map[int][]int64{}
	for i := range events {
		if e := &events[i]; e.Kind == streams.Out && len(n.all) < mostNamed {
			for _, t := range timesIn(e.Data[:min(len(e.Data), mostRead)]) {
				n.of[i] = append(n.of[i], t)
				n.all = append(n.all, nameOf{t, i})
			}
		}
	}
	slices.SortStableFunc(n.all, func(a, b nameOf) int { return cmp.Compare(a.time, b.time) })
	return n
}

// behind is the time from one on and up to another that an output behind an event names: the first of those with the
// most digits; up to a later one, if that has more. 0: there is none.
func (n *named) behind(event int, from, to, later int64) (found int64) {
	if found = n.between(event, from, to); found == 0 || grain(found) > 1 {
		found = finer(found, n.between(event, from, later))
	}
	if found != 0 {
		found = max(found, from)
	}
	return found
}

func (n *named) between(event int, from, to int64) (found int64) {
	least := from - int64(time.Millisecond) // it may be cut off
	first, _ := slices.BinarySearchFunc(n.all, least, func(a nameOf, at int64) int { return cmp.Compare(a.time, at) })
	for _, a := range n.all[first:] {
		if a.time > to {
			break
		}
		if a.event > event && a.time > from-grain(a.time) {
			found = finer(found, a.time)
		}
	}
	return found
}

// grain is what a time is a multiple of: what is named in milliseconds is cut off.
func grain(t int64) int64 {
	switch {
	case t%1e6 == 0:
		return 1e6
	case t%1e3 == 0:
		return 1e3
	}
	return 1
}

// finer is the second of two times if there is no first, or it has more digits.
func finer(a, b int64) int64 {
	if a == 0 || b != 0 && grain(b) < grain(a) {
		return b
	}
	return a
}

// reading is the first of an output's times that the program may have read from its clock between two others; 0: there
// is none. So what it says of its time comes out to the last digit.
func reading(all []int64, from, to int64) (found int64) {
	for _, t := range all {
		if t >= from-int64(slack) && t <= to {
			found = finer(found, t)
		}
	}
	return found
}

// slack is how much later than it was a recording may say that something was read: the two clocks drift, and a time in
// milliseconds is cut off.
const slack = time.Millisecond

// Times are as programs write them: RFC 3339 with a fraction of the second, with a blank in place of the T as
// time.Time's String has it; and milliseconds, microseconds and nanoseconds since 1970.
var (
	dates   = regexp.MustCompile(`^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{1,9}(?:Z| ?[-+]\d\d:?\d\d)?`)
	numbers = regexp.MustCompile(`^1\d{12}(?:\d{3}){0,2}\b`)
)

// timesIn gives the times in an output. An expression looks only where one may be, as outputs are many.
func timesIn(output []byte) (all []int64) {
	for i := 0; i < len(output) && len(all) < mostTimes; i++ {
		if output[i] < '0' || output[i] > '9' {
			continue
		}
		end := i
		for end < len(output) && output[end] >= '0' && output[end] <= '9' {
			end++
		}
		var text []byte
		switch {
		case end-i >= 4 && end < len(output) && output[end] == '-':
			i = end - 4
			text = dates.Find(output[i:])
		case end-i >= 13 && (i == 0 || !wordly(output[i-1])):
			text = numbers.Find(output[i:])
		}
		all = append(all, meant(string(text))...)
		i = max(end, i+len(text))
	}
	return all
}

func wordly(b byte) bool {
	return b == '_' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// meant gives what a text may mean as a time, in nanoseconds since 1970.
func meant(text string) (all []int64) {
	if text == "" {
		return nil
	}
	if !strings.Contains(text, ":") {
		n, err := strconv.ParseInt(text, 10, 64)
		for range (19 - len(text)) / 3 {
			n *= 1000
		}
		if err != nil {
			return nil
		}
		return []int64{n}
	}
	text = strings.Replace(strings.Replace(text, "T", " ", 1), " +", "+", 1)
	for _, layout := range []string{"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			return []int64{t.UnixNano()}
		}
	}
	for _, zone := range []*time.Location{time.UTC, time.Local} {
		if t, err := time.ParseInLocation("2006-01-02 15:04:05", text, zone); err == nil {
			all = append(all, t.UnixNano())
		}
	}
	return all
}

//go:build amd64

package process

import (
	"testing"

	"ri/attach"
	"ri/attach/targettest"
)

// A heap that is one long run of pages is divided, and all pages keep their places.
func TestLongRunsAreShared(t *testing.T) {
	const first, pages = 1000, 10*maxRun + 7
	numbers := make([]uint64, pages)
	for i := range numbers {
		numbers[i] = first + uint64(i)
	}
	buffer, err := faultedIn(pages * attach.PageSize)
	if err != nil {
		t.Fatal(err)
	}
	c := &copying{left: buffer}
	c.addPages(numbers)
	c.prepare()
	next := uint64(first * attach.PageSize)
	for _, r := range c.ranges {
		if r.Addr != next || len(r.Data) > maxRun*attach.PageSize {
			t.Fatalf("%d bytes at %#x, not at %#x", len(r.Data), r.Addr, next)
		}
		next += uint64(len(r.Data))
	}
	if next != (first+pages)*attach.PageSize {
		t.Errorf("the pieces end at %#x", next)
	}
}

// What helpers copy beside the thread of the stop is whole, whether they come to begin or not.
func TestHelpersCopy(t *testing.T) {
	p := targettest.Start(t, "-size", "9000000")
	target := open(t, p.PID)
	var runs []run
	buffer := make([]byte, p.Size)
	for at := 0; at < len(buffer); at += 10000 {
		runs = append(runs, run{addr: p.Address + uint64(at), data: buffer[at:min(at+10000, len(buffer))]})
	}
	b, err := newPageCopy(target, runs)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	for range 50 {
		clear(buffer)
		if err := b.copyPieces(until{}); err != nil {
			t.Fatal(err)
		}
		targettest.CheckPattern(t, buffer, 0)
		b.hurry()
	}
}

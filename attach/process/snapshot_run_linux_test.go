//go:build amd64

package process

import (
	"context"
	"slices"
	"testing"
	"time"

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
	var runs []extent
	buffer := make([]byte, p.Size)
	for at := 0; at < len(buffer); at += 10000 {
		runs = append(runs, extent{addr: p.Address + uint64(at), data: buffer[at:min(at+10000, len(buffer))]})
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

// A page that isn't mapped takes no page beside it with it, whether few pages are asked for or many.
func TestBesideWhatIsNotMapped(t *testing.T) {
	p := targettest.Start(t, "-size", "9000000")
	target := open(t, p.PID)
	mappings, err := target.Mappings()
	if err != nil {
		t.Fatal(err)
	}
	var first []uint64 // pages with nothing mapped before them
	for i, m := range mappings {
		if m.Read && m.Path == "" && (i == 0 || mappings[i-1].End < m.Start) {
			first = append(first, m.Start/attach.PageSize)
		}
	}
	if len(first) == 0 {
		t.Fatal("no mapping has nothing before it")
	}
	for _, most := range []int{0, p.Size / attach.PageSize} {
		var pages []uint64
		for _, page := range first {
			pages = append(pages, page-2, page-1, page)
		}
		for i := range most {
			pages = append(pages, p.Address/attach.PageSize+uint64(i))
		}
		view, err := target.View(context.Background(),
			attach.ViewOptions{Kind: attach.Snapshot, Pages: pages, MaxStop: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		now, err := target.Mappings()
		if err != nil {
			t.Fatal(err)
		}
		first = slices.DeleteFunc(first, func(page uint64) bool { // the runtime maps more meanwhile, right before it too
			return slices.ContainsFunc(now, func(m attach.Mapping) bool { return m.End == page*attach.PageSize })
		})
		if len(first) == 0 {
			t.Fatal("something was mapped before all of them")
		}
		var b [attach.PageSize]byte
		for _, page := range first {
			if n, err := view.ReadMemory(b[:], page*attach.PageSize); n != len(b) || err != nil {
				t.Errorf("%d pages more: the page at %#x: %d bytes, %v", most, page*attach.PageSize, n, err)
			}
			_, err := view.ReadMemory(b[:8], page*attach.PageSize-8)
			targettest.Refused(t, err, attach.ErrNotMapped)
		}
		if missed := view.Coverage().Missed; len(missed) != 0 {
			t.Errorf("%d pages more: %d pages are missing", most, len(missed))
		}
		view.Close()
	}
}

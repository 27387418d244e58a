//go:build amd64

package attach

import "testing"

// A heap that is one long run of pages is divided, and all pages keep their places.
func TestLongRunsAreShared(t *testing.T) {
	const first, pages = 1000, 10*maxRun + 7
	numbers := make([]uint64, pages)
	for i := range numbers {
		numbers[i] = first + uint64(i)
	}
	buffer, err := faultedIn(pages * PageSize)
	if err != nil {
		t.Fatal(err)
	}
	c := &copying{left: buffer}
	c.addPages(numbers)
	c.prepare()
	next := uint64(first * PageSize)
	for _, share := range c.shares {
		for _, r := range share {
			if r.Addr != next || len(r.Data) > maxRun*PageSize {
				t.Fatalf("%d bytes at %#x, not at %#x", len(r.Data), r.Addr, next)
			}
			next += uint64(len(r.Data))
		}
	}
	if next != (first+pages)*PageSize {
		t.Errorf("the shares end at %#x", next)
	}
	if len(c.shares) > 1 && len(c.shares[0]) > 2*len(c.shares[1]) {
		t.Errorf("one has %d pieces, the other %d", len(c.shares[0]), len(c.shares[1]))
	}
}

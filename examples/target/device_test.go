package main

import (
	"errors"
	"testing"
)

func TestAllocate(t *testing.T) {
	for _, test := range []struct {
		name     string
		capacity int64
		bad      []int64
		take     []int64 // lengths allocated in turn
		extents  int     // of the last
		fails    bool    // the last
	}{
		{name: "whole", capacity: 10, take: []int64{10}, extents: 1},
		{name: "nothing", capacity: 10, take: []int64{0}, extents: 0},
		{name: "around bad blocks", capacity: 10, bad: []int64{0, 3, 9}, take: []int64{7}, extents: 2},
		{name: "neighbouring bad blocks", capacity: 10, bad: []int64{4, 5}, take: []int64{8}, extents: 2},
		{name: "a part each", capacity: 10, bad: []int64{5}, take: []int64{3, 3}, extents: 2},
		{name: "too much", capacity: 10, bad: []int64{5}, take: []int64{10}, fails: true},
		{name: "too much in turn", capacity: 10, take: []int64{6, 5}, fails: true},
		{name: "all bad", capacity: 2, bad: []int64{0, 1}, take: []int64{1}, fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDevice(0, nil, test.capacity, 8, test.bad)
			free := d.freeBlocks
			before := freeList(d)
			var taken []*Extent
			for i, n := range test.take {
				e, err := d.allocate(n)
				if last := i == len(test.take)-1; last && test.fails {
					if !errors.Is(err, errNoSpace) {
						t.Fatalf("error %v, want %v", err, errNoSpace)
					}
					continue
				} else if err != nil {
					t.Fatal(err)
				} else if last && countExtents(e) != test.extents {
					t.Errorf("%d extents, want %d", countExtents(e), test.extents)
				}
				taken = append(taken, e)
				free -= n
			}
			if d.freeBlocks != free {
				t.Errorf("%d blocks free, want %d", d.freeBlocks, free)
			}
			for _, e := range taken {
				d.release(e)
			}
			after := freeList(d)
			if len(after) != len(before) {
				t.Fatalf("free list %v, want %v", after, before)
			}
			for i := range after {
				if after[i] != before[i] {
					t.Errorf("free list %v, want %v", after, before)
				}
			}
		})
	}
}

func freeList(d *Device) (list [][2]int64) {
	for f := d.free; f != nil; f = f.next {
		list = append(list, [2]int64{f.start, f.length})
	}
	return list
}

func countExtents(e *Extent) (n int) {
	for ; e != nil; e = e.next {
		n++
	}
	return n
}

// TestAllocateRandomly takes and gives back, and keeps the books itself.
func TestAllocateRandomly(t *testing.T) {
	for seed := uint64(0); seed < 20; seed++ {
		d := newDevice(0, nil, 400, 8, seedBadBlocks(seed, 0, 400))
		total := d.freeBlocks
		var taken []*Extent
		inUse := int64(0)
		for i := uint64(0); i < 500; i++ {
			h := mix(seed, i)
			if h%3 == 0 && len(taken) > 0 {
				k := int(h >> 8 % uint64(len(taken)))
				for e := taken[k]; e != nil; e = e.next {
					inUse -= e.length
				}
				d.release(taken[k])
				taken = append(taken[:k], taken[k+1:]...)
				continue
			}
			n := int64(h >> 8 % 12)
			e, err := d.allocate(n)
			if (err != nil) != (inUse+n > total) {
				t.Fatalf("allocate %d with %d of %d in use: %v", n, inUse, total, err)
			}
			if err == nil {
				taken = append(taken, e)
				inUse += n
			}
		}
		used := make(map[int64]bool)
		for _, e := range taken {
			for ; e != nil; e = e.next {
				for b := e.start; b < e.start+e.length; b++ {
					if used[b] {
						t.Fatalf("block %d is used twice", b)
					}
					used[b] = true
				}
			}
		}
		last := int64(-1)
		for f := d.free; f != nil; f = f.next {
			if f.start <= last {
				t.Fatalf("free extents at %d and %d are not joined or out of order", last, f.start)
			}
			for b := f.start; b < f.start+f.length; b++ {
				if used[b] {
					t.Fatalf("block %d is both used and free", b)
				}
				used[b] = true
			}
			last = f.start + f.length
		}
		if int64(len(used)) != total {
			t.Errorf("%d blocks used or free, want %d", len(used), total)
		}
	}
}

func TestBlockChecksum(t *testing.T) {
	d := newDevice(0, nil, 4, 8, nil)
	if !d.intact(0) {
		t.Error("a block never written is not intact")
	}
	d.writeBlock(2, []byte("contents"))
	if !d.intact(2) || string(d.block(2)) != "contents" {
		t.Error("a written block is not intact")
	}
	d.block(2)[3] ^= 1
	if d.intact(2) {
		t.Error("a torn block is intact")
	}
}

func TestQuarantine(t *testing.T) {
	for _, test := range []struct{ how, damage string }{
		{"cycle", "cycle after 5 elements"},
		{"length", "5 elements, length says 12"},
		{"wild", "wild pointer 0xdead0000 after 3 elements"},
	} {
		q := &Quarantine{}
		for i := int64(0); i < 5; i++ {
			q.add(nil, i, "test")
		}
		if blocks, damage := q.walk(); len(blocks) != 5 || damage != "" {
			t.Errorf("whole: %d, %q", len(blocks), damage)
		}
		if err := q.corrupt(test.how); err != nil {
			t.Error(err)
		}
		if _, damage := q.walk(); damage != test.damage {
			t.Errorf("%s: %q, want %q", test.how, damage, test.damage)
		}
		if q.corrupt(test.how) == nil {
			t.Errorf("%s: damaged twice", test.how)
		}
	}
}

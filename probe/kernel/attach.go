package kernel

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// spot is a site as the kernel knows it.
type spot struct {
	probe, site int
	back        bool
	offset      uint64 // in the file
	cookie      uint64
	nowhere     bool // in no segment
}

var errNowhere = errors.New("its address is not in the file's code")

// findPlaces gives all sites.
func (a *Armed) findPlaces() []spot {
	var out []spot
	for i, p := range a.probes {
		for _, back := range []bool{false, true} {
			sites := p.Sites
			if back {
				sites = p.Returns
			}
			for j, s := range sites {
				offset, ok := a.target.offset(s.PC)
				out = append(out, spot{i, j, back, offset, cookie(i, j, s), !ok})
			}
		}
	}
	return out
}

func (t Target) offset(pc uint64) (uint64, bool) {
	for _, s := range t.Segments {
		if pc >= s.Addr && pc-s.Addr < s.Size {
			return pc - s.Addr + s.Offset, true
		}
	}
	return 0, false
}

// touch reads the pages of all places. ext4 warns where the kernel reads a page of text for a uprobe that isn't in the
// page cache (Linux 6.18).
func (a *Armed) touch(places []spot) {
	seen := map[uint64]bool{}
	var b [1]byte
	for _, p := range places {
		for _, page := range []uint64{p.offset >> 12, (p.offset + 15) >> 12} {
			if !seen[page] {
				seen[page] = true
				a.file.ReadAt(b[:], int64(page<<12))
			}
		}
	}
}

// attach arms a program at those places that are asked for. One that the kernel refuses fails all that are given with
// it, so it is found by halves, and named.
func (a *Armed) attach(program *ebpf.Program, places []spot, want func(spot) bool) ([]int, error) {
	var mine []spot
	for _, p := range places {
		switch {
		case !want(p):
		case p.nowhere:
			a.miss(Missed{p.probe, p.site, p.back, errNowhere})
		default:
			mine = append(mine, p)
		}
	}
	if len(mine) == 0 {
		return nil, nil
	}
	good, err := a.tryAll(program, mine)
	if err != nil || good != nil {
		return good, err
	}
	bad := a.refused(program, mine)
	mine = slices.DeleteFunc(mine, func(p spot) bool { return slices.Contains(bad, p) })
	if len(mine) == 0 {
		return nil, nil
	}
	good, err = a.tryAll(program, mine)
	if err == nil && good == nil {
		err = errors.New("the kernel refuses places together that it takes one by one")
	}
	return good, err
}

// miss notes a place that can't be probed, once.
func (a *Armed) miss(m Missed) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.windows <= 1 {
		a.missed = append(a.missed, m)
	}
}

// tryAll arms a program at some places at once: nil where the kernel refuses one of them.
func (a *Armed) tryAll(program *ebpf.Program, places []spot) ([]int, error) {
	if a.way == Perf {
		return a.tryEach(program, places)
	}
	n, err := a.keeper.arm(program, a.file, a.orderFor(places))
	switch {
	case err == nil:
		return []int{n}, nil
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("pid %d: %w", a.target.PID, ErrGone)
	case errors.Is(err, ErrKeeper) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) ||
		errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ENODEV):
		return nil, fmt.Errorf("the kernel doesn't arm the probes: %w", err)
	case len(places) == 1:
		a.miss(Missed{places[0].probe, places[0].site, places[0].back, err})
	}
	return nil, nil
}

func (a *Armed) orderFor(places []spot) order {
	o := order{Way: a.way, PID: a.target.PID}
	for _, p := range places {
		o.Offsets = append(o.Offsets, p.offset)
		if a.way == Multi || a.how.cookies {
			o.Cookies = append(o.Cookies, p.cookie)
		}
	}
	return o
}

// refused finds the places that the kernel refuses.
func (a *Armed) refused(program *ebpf.Program, places []spot) []spot {
	armed, err := a.tryAll(program, places)
	if err != nil {
		return nil
	}
	if armed != nil {
		a.keeper.away(armed)
		return nil
	}
	if len(places) == 1 {
		return places
	}
	half := len(places) / 2
	return append(a.refused(program, places[:half:half]), a.refused(program, places[half:])...)
}

// perfPlaces is how many places are armed by perf events: each takes some 0.1 s to go away.
const perfPlaces = 16

// tryEach arms a program by perf events, one a place.
func (a *Armed) tryEach(program *ebpf.Program, places []spot) ([]int, error) {
	var out []int
	for i, p := range places {
		n, err := a.keeper.arm(program, a.file, a.orderFor(places[i:i+1]))
		switch {
		case errors.Is(err, ErrKeeper):
			return out, err
		case err != nil:
			a.miss(Missed{p.probe, p.site, p.back, err})
		default:
			out = append(out, n)
		}
	}
	return out, nil
}

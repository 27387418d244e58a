package kernel

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
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
func (a *Armed) attach(program *ebpf.Program, places []spot, want func(spot) bool) ([]link.Link, error) {
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
	ex, err := link.OpenExecutable(fmt.Sprintf("/proc/self/fd/%d", a.file.Fd()))
	if err != nil {
		return nil, fmt.Errorf("the file of the code: %w", err)
	}
	good, err := a.tryAll(ex, program, mine)
	if err != nil || good != nil {
		return good, err
	}
	bad := a.refused(ex, program, mine)
	mine = slices.DeleteFunc(mine, func(p spot) bool { return slices.Contains(bad, p) })
	if len(mine) == 0 {
		return nil, nil
	}
	good, err = a.tryAll(ex, program, mine)
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
func (a *Armed) tryAll(ex *link.Executable, program *ebpf.Program, places []spot) ([]link.Link, error) {
	if a.way == Perf {
		return a.tryEach(ex, program, places)
	}
	l, err := multi(ex, program, places, a.target.PID)
	switch {
	case err == nil:
		return []link.Link{l}, nil
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("pid %d: %w", a.target.PID, ErrGone)
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EMFILE) ||
		errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ENODEV):
		return nil, fmt.Errorf("the kernel doesn't arm the probes: %w", err)
	case len(places) == 1:
		a.miss(Missed{places[0].probe, places[0].site, places[0].back, err})
	}
	return nil, nil
}

func multi(ex *link.Executable, program *ebpf.Program, places []spot, pid int) (link.Link, error) {
	o := &link.UprobeMultiOptions{PID: uint32(pid)}
	for _, p := range places {
		o.Addresses, o.Cookies = append(o.Addresses, p.offset), append(o.Cookies, p.cookie)
	}
	return ex.UprobeMulti(nil, program, o)
}

// refused finds the places that the kernel refuses.
func (a *Armed) refused(ex *link.Executable, program *ebpf.Program, places []spot) []spot {
	links, err := a.tryAll(ex, program, places)
	for _, l := range links {
		l.Close()
	}
	if err != nil || links != nil {
		return nil
	}
	if len(places) == 1 {
		return places
	}
	half := len(places) / 2
	return append(a.refused(ex, program, places[:half:half]), a.refused(ex, program, places[half:])...)
}

// perfPlaces is how many places are armed by perf events: each takes some 0.1 s to go away.
const perfPlaces = 16

// tryEach arms a program by perf events, one a place.
func (a *Armed) tryEach(ex *link.Executable, program *ebpf.Program, places []spot) ([]link.Link, error) {
	var out []link.Link
	for _, p := range places {
		o := &link.UprobeOptions{Address: p.offset, PID: a.target.PID}
		if a.how.cookies {
			o.Cookie = p.cookie
		}
		l, err := ex.Uprobe("", program, o)
		if err != nil {
			a.miss(Missed{p.probe, p.site, p.back, err})
			continue
		}
		out = append(out, l)
	}
	return out, nil
}

// closeAll closes links at once: the kernel waits some 30 ms at each.
func closeAll(links []link.Link) error {
	errs := make(chan error, len(links))
	for _, l := range links {
		go func() { errs <- l.Close() }()
	}
	var all []error
	for range links {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

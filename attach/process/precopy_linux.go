//go:build amd64

package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/proc"
)

// A pre-copy is a bulk copy made while the process runs. The kernel write-protects the pages (userfaultfd,
// asynchronous: the process's first write to each costs it a fault, which nobody has to answer), they are copied, and
// what was written to since is copied again, round after round. The last round is made in the stop: what is left to
// copy is little.
//
// A userfaultfd belongs to the address space of the process that opened it, so the process has to open it: that is one
// injected system call. ri takes the descriptor over (pidfd_getfd) and has the process close its own. When ri's is
// closed, also because ri was killed, the kernel takes all protection away.

// Of userfaultfd (uapi/linux/userfaultfd.h).
const (
	uffdAPI         = 0xaa
	uffdUserMode    = 1       // UFFD_USER_MODE_ONLY: no privilege needed
	uffdWPAsync     = 1 << 15 // UFFD_FEATURE_WP_ASYNC, Linux 6.7
	uffdModeWP      = 1 << 1  // UFFDIO_REGISTER_MODE_WP
	uffdRequestAPI  = 3<<30 | 24<<16 | uffdAPI<<8 | 0x3f
	uffdRegister    = 3<<30 | 32<<16 | uffdAPI<<8
	uffdUnregister  = 2<<30 | 16<<16 | uffdAPI<<8 | 0x01
	unregisterBytes = 64 << 20 // at a time: the process's page faults wait meanwhile
)

// When to stop: rounds end when so little is left, when it doesn't get less, or after so many.
const (
	precopySmall  = 1 << 20
	precopyRounds = 12
)

// errNoPrecopy says why a pre-copy isn't possible; then the copy is made in the stop.
type errNoPrecopy struct{ cause error }

func (e *errNoPrecopy) Error() string { return e.cause.Error() }
func (e *errNoPrecopy) Unwrap() error { return e.cause }

// precopy is one under way.
type precopy struct {
	bulk  *bulkCopy
	fd    int
	spans []span       // registered
	stats attach.Stats // of the stop in which the process opened its userfaultfd

	round struct { // the last one
		bytes int64
		scan  time.Duration
		rate  float64 // bytes a second
	}
}

// startPrecopy has the process open a userfaultfd. The error is an *errNoPrecopy where the kernel or the process
// doesn't allow it.
func startPrecopy(ctx context.Context, b *bulkCopy, patience time.Duration) (*precopy, error) {
	p := b.process
	if b.residency.Entries != nil {
		return nil, &errNoPrecopy{fmt.Errorf("this kernel has no PAGEMAP_SCAN (Linux 6.7 has it)")}
	}
	if err := probeTracking(); err != nil {
		return nil, &errNoPrecopy{fmt.Errorf("write-protection was tried on ri's own memory: %w", err)}
	}
	if err := p.PrepareInject(); err != nil {
		return nil, &errNoPrecopy{err}
	}
	in, err := newInjector(p)
	if err != nil {
		return nil, &errNoPrecopy{err}
	}
	defer in.close()
	pidfd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return nil, &errNoPrecopy{fmt.Errorf("pidfd_open: %w", err)}
	}
	defer unix.Close(pidfd)
	c := &precopy{bulk: b, fd: -1}
	err = p.inStop(ctx, patience, &c.stats, func(t *tracer) error {
		fd, err := in.inject(t, unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK|uffdUserMode)
		if err != nil {
			return &errNoPrecopy{fmt.Errorf("userfaultfd: %w", err)}
		}
		c.fd, err = unix.PidfdGetfd(pidfd, int(fd), 0)
		if err != nil {
			c.fd = -1
			err = &errNoPrecopy{fmt.Errorf("pidfd_getfd: %w", err)}
		}
		if _, e := in.inject(t, unix.SYS_CLOSE, fd); e != nil {
			err = cmp.Or(err, error(&errNoPrecopy{fmt.Errorf("descriptor %d of the process, a userfaultfd, could not "+
				"be closed again: %w", fd, e)}))
		}
		return err
	})
	if err == nil {
		err = c.register()
	}
	if err != nil {
		c.close()
		if c.stats.Stops > 0 {
			err = fmt.Errorf("%w; %s", err, callMade)
		}
		return nil, err
	}
	return c, nil
}

// callMade is said each time that a system call was made in the process.
const callMade = "a system call was made in the process (userfaultfd, whose descriptor it closed again)"

// inStop stops the process for f, which runs on the thread that owns ptrace.
func (p *Process) inStop(ctx context.Context, patience time.Duration, stats *attach.Stats,
	f func(*tracer) error) (err error) {
	t, err := newTracer(p, nil)
	if err != nil {
		return err
	}
	finished := make(chan struct{})
	t.hold = holds.begin(nil)
	go onTracerThread(func() {
		defer close(finished)
		defer holds.end(t.hold)
		defer t.close()
		began, e := t.halt(ctx, patience)
		if e == nil {
			e = f(t)
		}
		t.detach()
		stats.Stops++
		stats.Stopped += time.Since(began)
		noteStop(time.Since(began))
		stats.Interrupted += t.interrupted
		err = e
	})
	<-finished
	t.waitForEnd()
	return err
}

// register has the kernel track the writes to all that the copy is of. What can't be registered (another userfaultfd
// has it) is copied in the stop.
func (c *precopy) register() error {
	if err := uffdEnable(c.fd); err != nil {
		return &errNoPrecopy{err}
	}
	b := c.bulk
	err := b.maps.read()
	if err == nil {
		// What is protected has to be copied: there must be room for all of it.
		err = b.image.reserve(b.maps.mapped)
	}
	if err != nil {
		return err
	}
	var failure error
	for _, m := range b.maps.mapped {
		if m.whole {
			continue
		}
		if err := uffdTrack(c.fd, m); err != nil {
			failure = err
			continue
		}
		c.spans = append(c.spans, m)
	}
	if len(c.spans) == 0 {
		return &errNoPrecopy{failure}
	}
	return nil
}

func uffdEnable(fd int) error {
	api := struct{ api, features, ioctls uint64 }{api: uffdAPI, features: uffdWPAsync}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uffdRequestAPI, uintptr(unsafe.Pointer(&api))); e != 0 {
		return fmt.Errorf("userfaultfd with asynchronous write-protection (Linux 6.7 has it): %w", e)
	}
	return nil
}

func uffdTrack(fd int, m span) error {
	register := struct{ start, length, mode, ioctls uint64 }{start: m.start, length: m.end - m.start, mode: uffdModeWP}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uffdRegister, uintptr(unsafe.Pointer(&register))); e != 0 {
		return fmt.Errorf("registering %#x-%#x with userfaultfd: %w", m.start, m.end, e)
	}
	return nil
}

// run copies in rounds while the process runs, until what is left is small, or gets no smaller and can be copied in
// half the time that the stop may take.
func (c *precopy) run(ctx context.Context, limit time.Duration) error {
	for n := 1; ; n++ {
		before := c.round.bytes
		if err := c.copyWritten(); err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if c.round.bytes <= precopySmall || n == precopyRounds || n > 2 && c.round.bytes > before*9/10 &&
			c.estimate() < limit/2 {
			return nil
		}
	}
}

// copyWritten copies what was written to since the last time, and protects it first: a write that comes while it is
// copied is seen the next time.
func (c *precopy) copyWritten() error {
	b := c.bulk
	b.pieces = b.pieces[:0]
	c.round.bytes = 0
	began := time.Now()
	for _, m := range c.spans {
		const kinds = proc.PagePresent | proc.PageSwapped | proc.PageZero | proc.PageTracked
		err := b.residency.Scan(proc.ScanProtect, m.start, m.end, proc.PageWritten, proc.PagePresent|proc.PageSwapped,
			kinds, func(r proc.PageRegion) {
				if r.Categories&proc.PageTracked != 0 && r.Categories&proc.PageZero == 0 {
					b.add(r.Start, r.End)
					c.round.bytes += int64(r.End - r.Start)
				}
			})
		if err != nil {
			return b.process.exited(err)
		}
	}
	c.round.scan = time.Since(began)
	began = time.Now()
	if err := b.copyPieces(until{}); err != nil {
		return err
	}
	b.image.unreadable = b.image.unreadable[:0] // the stop tells
	if took := time.Since(began); took > 0 && (c.round.rate == 0 || c.round.bytes > 16<<20) {
		c.round.rate = float64(c.round.bytes) / took.Seconds()
	}
	return nil
}

// estimate is how long the stop will take.
func (c *precopy) estimate() time.Duration {
	d := bareStop + c.round.scan
	if c.round.rate > 0 {
		d += time.Duration(float64(c.round.bytes) / c.round.rate * 1e9)
	}
	return d
}

// stopped copies what was written to since the last round; the process stands still. What isn't there any more is
// forgotten by settle.
func (c *precopy) stopped(end until) (resident []span, err error) {
	b := c.bulk
	if err := b.look(); err != nil {
		return nil, err
	}
	b.pieces = b.pieces[:0]
	add := func(s span) {
		if n := len(resident); n > 0 && resident[n-1].end == s.start {
			resident[n-1].end = s.end
			return
		}
		resident = append(resident, s)
	}
	err = eachResident(b.residency, b.maps.mapped, func(r proc.PageRegion) {
		add(span{start: r.Start, end: r.End})
		if r.Categories&proc.PageTracked == 0 || r.Categories&proc.PageWritten != 0 {
			b.add(r.Start, r.End)
		}
	})
	if err != nil {
		return nil, b.process.exited(err)
	}
	b.mem.raw = true
	return resident, b.copyPieces(end)
}

// settle makes all read as zero that wasn't there in the stop, and may have been copied before it.
func (im *image) settle(resident []span) error {
	for _, r := range im.ranges {
		at := r.start
		drop := func(end uint64) error {
			if end <= at {
				return nil
			}
			b := r.data[at-r.start : end-r.start]
			advice := unix.MADV_DONTNEED
			if im.spool != nil {
				advice = unix.MADV_REMOVE
			}
			if err := unix.Madvise(b, advice); err != nil {
				if im.spool == nil {
					return fmt.Errorf("forgetting a part of the copy: %w", err)
				}
				clear(b) // a file system without holes
			}
			return nil
		}
		for len(resident) > 0 && resident[0].start < r.end {
			s := resident[0]
			if err := drop(min(max(s.start, at), r.end)); err != nil {
				return err
			}
			at = max(at, s.end)
			if s.end > r.end {
				break // it goes on in the next range
			}
			resident = resident[1:]
		}
		if err := drop(r.end); err != nil {
			return err
		}
	}
	return nil
}

// close takes the protection away, piece by piece, since the process's page faults wait while a piece is done.
func (c *precopy) close() {
	if c.fd < 0 {
		return
	}
	for _, m := range c.spans {
		for at := m.start; at < m.end; at += unregisterBytes {
			r := struct{ start, length uint64 }{at, min(m.end-at, unregisterBytes)}
			// what is left, closing does
			unix.Syscall(unix.SYS_IOCTL, uintptr(c.fd), uffdUnregister, uintptr(unsafe.Pointer(&r)))
		}
	}
	unix.Close(c.fd)
	c.fd = -1
}

// probeTracking tries on ri's own memory whether writes are tracked: of three pages that were protected, just the one
// that is written to is told.
func probeTracking() error {
	b, err := unix.Mmap(-1, 0, 4*attach.PageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	defer unix.Munmap(b)
	for i := range 3 { // the fourth page is not there
		b[i*attach.PageSize] = 1
	}
	fd, _, e := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|unix.O_NONBLOCK|uffdUserMode, 0, 0)
	if e != 0 {
		return fmt.Errorf("userfaultfd: %w", e)
	}
	defer unix.Close(int(fd))
	m := span{start: addressOf(b), end: addressOf(b) + uint64(len(b))}
	if err := errors.Join(uffdEnable(int(fd)), uffdTrack(int(fd), m)); err != nil {
		return err
	}
	file, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return err
	}
	r := &proc.Residency{File: file, Regions: make([]proc.PageRegion, 8)}
	defer r.Close()
	written := func() (pages string, err error) {
		err = r.Scan(proc.ScanProtect, m.start, m.end, proc.PageWritten, proc.PagePresent|proc.PageSwapped,
			proc.PagePresent|proc.PageTracked, func(region proc.PageRegion) {
				for at := region.Start; at < region.End; at += attach.PageSize {
					pages += string(rune('0' + (at-m.start)/attach.PageSize))
				}
				if region.Categories&proc.PageTracked == 0 {
					pages += "!"
				}
			})
		return pages, err
	}
	for i, want := range []string{"012", "", "1", "3"} {
		switch i {
		case 2:
			b[attach.PageSize] = 2
		case 3:
			b[3*attach.PageSize] = 2
		}
		if got, err := written(); err != nil || got != want {
			return fmt.Errorf("it says that the pages %q were written to, and those were %q (%v): %w", got, want, err,
				attach.ErrNotSupported)
		}
	}
	runtime.KeepAlive(b)
	return nil
}

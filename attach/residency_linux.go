package attach

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Which pages of a process are there is asked of PAGEMAP_SCAN (uapi/linux/fs.h, Linux 6.7), which passes over empty page tables and
// joins pages of a kind, or else read from /proc/PID/pagemap, eight bytes a page.

// Categories of pages, PAGE_IS_* in uapi/linux/fs.h.
const (
	pageTracked = 1 << 0 // PAGE_IS_WPALLOWED: its mapping is registered for asynchronous write-protection
	pageWritten = 1 << 1 // since it was write-protected
	pagePresent = 1 << 3
	pageSwapped = 1 << 4
	pageZero    = 1 << 5 // PAGE_IS_PFNZERO: the kernel's page of zeros
)

// Flags of PAGEMAP_SCAN.
const (
	scanProtect      = 1 << 0 // PM_SCAN_WP_MATCHING: write-protect what is reported
	scanCheckTracked = 1 << 1 // PM_SCAN_CHECK_WPASYNC: fail where that isn't possible
)

// pageRegion is struct page_region: pages side by side that have the same categories.
type pageRegion struct{ start, end, categories uint64 }

// scanArgument is struct pm_scan_arg.
type scanArgument struct {
	size, flags, start, end, walkEnd, vec, vecLen, maxPages   uint64
	categoryInverted, categoryMask, categoryAnyOf, returnMask uint64
}

// _IOWR('f', 16, struct pm_scan_arg)
const pagemapScanRequest = 3<<30 | unsafe.Sizeof(scanArgument{})<<16 | 'f'<<8 | 16

const (
	scanRegions  = 4096 // that one call may give
	pagemapPages = 8192 // read at once where there is no PAGEMAP_SCAN
)

// residency tells which pages of a process are there. Not safe for concurrent use.
type residency struct {
	file    *os.File
	regions []pageRegion
	entries []byte // of pagemap; nil where PAGEMAP_SCAN works
}

// openResidency readies everything, so that a scan allocates nothing.
func openResidency(pagemap string) (*residency, error) {
	file, err := os.Open(pagemap)
	if err != nil {
		return nil, fmt.Errorf("finding out which memory is there: %w", err)
	}
	r := &residency{file: file, regions: make([]pageRegion, scanRegions)}
	if err := r.scan(0, 0, 0, 0, pagePresent, pagePresent, nil); err != nil {
		r.entries = make([]byte, 8*pagemapPages)
	}
	return r, nil
}

func (r *residency) close() { r.file.Close() }

// each calls f for the pages of a range that have contents of their own: present or in swap, and not the page of zeros.
func (r *residency) each(start, end uint64, f func(pageRegion)) error {
	if r.entries != nil {
		return r.eachEntry(start, end, f)
	}
	const kinds = pagePresent | pageSwapped | pageZero | pageWritten | pageTracked
	return r.scan(0, start, end, 0, pagePresent|pageSwapped, kinds, func(p pageRegion) {
		if p.categories&pageZero == 0 {
			f(p)
		}
	})
}

// scan is PAGEMAP_SCAN over a range: of pages that have all categories of mask and any of anyOf, those of result are told.
func (r *residency) scan(flags, start, end, mask, anyOf, result uint64, f func(pageRegion)) error {
	for {
		arg := scanArgument{
			flags: flags, start: start, end: end,
			vec: uint64(uintptr(unsafe.Pointer(&r.regions[0]))), vecLen: uint64(len(r.regions)),
			categoryMask: mask, categoryAnyOf: anyOf, returnMask: result,
		}
		arg.size = uint64(unsafe.Sizeof(arg))
		n, _, e := unix.RawSyscall(unix.SYS_IOCTL, r.file.Fd(), pagemapScanRequest, uintptr(unsafe.Pointer(&arg)))
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return fmt.Errorf("PAGEMAP_SCAN: %w", e)
		}
		for _, region := range r.regions[:n] {
			f(region)
		}
		if arg.walkEnd >= end || arg.walkEnd <= start {
			return nil
		}
		start = arg.walkEnd
	}
}

// eachEntry reads pagemap (Documentation/admin-guide/mm/pagemap.rst): bit 63 of an entry is present, 62 swapped.
func (r *residency) eachEntry(start, end uint64, f func(pageRegion)) error {
	var open pageRegion
	for at := start; at < end; {
		n := min((end-at)/PageSize, pagemapPages)
		got, err := unix.Pread(int(r.file.Fd()), r.entries[:n*8], int64(at/PageSize*8))
		if err == unix.EINTR {
			continue
		}
		if err != nil || got < 8 {
			break // beyond what the process can have
		}
		for i := range uint64(got / 8) {
			addr := at + i*PageSize
			if binary.LittleEndian.Uint64(r.entries[i*8:])>>62 == 0 {
				continue
			}
			if open.end == addr {
				open.end += PageSize
				continue
			}
			if open.end != 0 {
				f(open)
			}
			open = pageRegion{addr, addr + PageSize, pagePresent}
		}
		at += uint64(got/8) * PageSize
	}
	if open.end != 0 {
		f(open)
	}
	return nil
}

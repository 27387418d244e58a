package proc

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"ri/attach"
)

// Which pages of a process are there is asked of PAGEMAP_SCAN (uapi/linux/fs.h, Linux 6.7), which passes over empty
// page tables and joins pages of a kind, or else read from /proc/PID/pagemap, eight bytes a page.

// Categories of pages, PAGE_IS_* in uapi/linux/fs.h.
const (
	PageTracked = 1 << 0 // PAGE_IS_WPALLOWED: its mapping is registered for asynchronous write-protection
	PageWritten = 1 << 1 // since it was write-protected
	PagePresent = 1 << 3
	PageSwapped = 1 << 4
	PageZero    = 1 << 5 // PAGE_IS_PFNZERO: the kernel's page of zeros
)

// Flags of PAGEMAP_SCAN.
const (
	ScanProtect      = 1 << 0 // PM_SCAN_WP_MATCHING: write-protect what is reported
	scanCheckTracked = 1 << 1 // PM_SCAN_CHECK_WPASYNC: fail where that isn't possible
)

// PageRegion is struct page_region: pages side by side that have the same categories.
type PageRegion struct{ Start, End, Categories uint64 }

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

// Residency tells which pages of a process are there. Not safe for concurrent use.
type Residency struct {
	File    *os.File
	Regions []PageRegion
	Entries []byte // of pagemap; nil where PAGEMAP_SCAN works
	Calls   int    // how often the kernel was asked
}

// OpenResidency readies everything, so that a scan allocates nothing.
func OpenResidency(pagemap string) (*Residency, error) {
	file, err := os.Open(pagemap)
	if err != nil {
		return nil, fmt.Errorf("finding out which memory is there: %w", err)
	}
	r := &Residency{File: file, Regions: make([]PageRegion, scanRegions)}
	if err := r.Scan(0, 0, 0, 0, PagePresent, PagePresent, nil); err != nil {
		r.Entries = make([]byte, 8*pagemapPages)
	}
	return r, nil
}

func (r *Residency) Close() { r.File.Close() }

// Each calls f for the pages of a range that have contents of their own: present or in swap, and not the page of zeros.
func (r *Residency) Each(start, end uint64, f func(PageRegion)) error {
	if r.Entries != nil {
		return r.eachEntry(start, end, f)
	}
	const kinds = PagePresent | PageSwapped | PageZero | PageWritten | PageTracked
	return r.Scan(0, start, end, 0, PagePresent|PageSwapped, kinds, func(p PageRegion) {
		if p.Categories&PageZero == 0 {
			f(p)
		}
	})
}

// Scan is PAGEMAP_SCAN over a range: of pages that have all categories of mask and any of anyOf, those of result are
// told.
func (r *Residency) Scan(flags, start, end, mask, anyOf, result uint64, f func(PageRegion)) error {
	for {
		arg := scanArgument{
			flags: flags, start: start, end: end,
			vec: uint64(uintptr(unsafe.Pointer(&r.Regions[0]))), vecLen: uint64(len(r.Regions)),
			categoryMask: mask, categoryAnyOf: anyOf, returnMask: result,
		}
		arg.size = uint64(unsafe.Sizeof(arg))
		r.Calls++
		n, _, e := unix.RawSyscall(unix.SYS_IOCTL, r.File.Fd(), pagemapScanRequest, uintptr(unsafe.Pointer(&arg)))
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return fmt.Errorf("PAGEMAP_SCAN: %w", e)
		}
		for _, region := range r.Regions[:n] {
			f(region)
		}
		if arg.walkEnd >= end || arg.walkEnd <= start {
			return nil
		}
		start = arg.walkEnd
	}
}

// eachEntry reads pagemap (Documentation/admin-guide/mm/pagemap.rst): bit 63 of an entry is present, 62 swapped.
func (r *Residency) eachEntry(start, end uint64, f func(PageRegion)) error {
	var open PageRegion
	for at := start; at < end; {
		n := min((end-at)/attach.PageSize, pagemapPages)
		r.Calls++
		got, err := unix.Pread(int(r.File.Fd()), r.Entries[:n*8], int64(at/attach.PageSize*8))
		if err == unix.EINTR {
			continue
		}
		if err != nil || got < 8 {
			break // beyond what the process can have
		}
		for i := range uint64(got / 8) {
			addr := at + i*attach.PageSize
			if binary.LittleEndian.Uint64(r.Entries[i*8:])>>62 == 0 {
				continue
			}
			if open.End == addr {
				open.End += attach.PageSize
				continue
			}
			if open.End != 0 {
				f(open)
			}
			open = PageRegion{addr, addr + attach.PageSize, PagePresent}
		}
		at += uint64(got/8) * attach.PageSize
	}
	if open.End != 0 {
		f(open)
	}
	return nil
}

//go:build unix

package symbols

import (
	"os"
	"syscall"
)

// mapFile maps a file for reading. It is never unmapped: names and sections are views of it. The file is never
// written again under its name, only replaced or removed, so the mapping stays whole.
func mapFile(f *os.File, size int64) ([]byte, error) {
	return syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_PRIVATE)
}

func ownedByMe(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

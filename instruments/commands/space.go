package commands

import (
	"fmt"

	"golang.org/x/sys/unix"

	"ri/instruments/rows"
)

// leastSpace is the address space that ri needs, in bytes. The Go runtime reserves some 700 MiB when it starts, a
// library of Delve's up to 512 MiB, and a look has to have room.
const leastSpace = 3 << 29

const spaceAdvice = ", most of which takes no memory: ulimit -v unlimited; to limit the memory that it takes use a " +
	"cgroup (systemd-run -p MemoryMax=500M)"

// CheckAddressSpace refuses where the address space is so limited (ulimit -v) that ri would die for want of it
// somewhere on its way. In amd64's build by the Makefile the entry point (begin) has done so before: otherwise the Go
// runtime, glibc or the kernel may end ri before any of its code runs.
func CheckAddressSpace() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &limit); err != nil {
		return nil
	}
	return checkAddressSpace(limit.Cur)
}

func checkAddressSpace(limit uint64) error {
	if limit >= leastSpace { // RLIM_INFINITY is the largest number
		return nil
	}
	return rows.Refused(fmt.Errorf(
		"ri's address space is limited to %s (RLIMIT_AS), and it needs %s"+spaceAdvice,
		rows.ShortBytes(int64(limit)), rows.ShortBytes(leastSpace)))
}

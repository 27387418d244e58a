package ovsdb

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// writeDurably writes at an offset and waits until that is on the disk: one call where the kernel has it (4.7). It
// waits for these bytes and what finds them, not for what was written before.
func writeDurably(f *os.File, b []byte, offset int64) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var n int
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		for {
			if n, failed = unix.Pwritev2(int(fd), [][]byte{b}, offset, unix.RWF_DSYNC); failed != unix.EINTR {
				return true
			}
		}
	})
	switch {
	case err != nil:
		return err
	case failed == unix.ENOSYS || failed == unix.EOPNOTSUPP:
		if _, err := f.WriteAt(b, offset); err != nil {
			return err
		}
		return f.Sync()
	case failed != nil:
		return &os.PathError{Op: "write", Path: f.Name(), Err: failed}
	case n == len(b):
		return nil
	}
	// The disk is full, or nearly. What is left is tried, so that the error says which.
	if _, err := f.WriteAt(b[n:], offset+int64(n)); err != nil {
		return errors.Join(io.ErrShortWrite, err)
	}
	return f.Sync()
}

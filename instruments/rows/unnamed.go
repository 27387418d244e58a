package rows

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// unnamedFile is a file that gets its name when it is whole. Until then it has none (O_TMPFILE), so that nothing is
// left of it however ri ends; a file system that knows no such files has it under a temporary name.
type unnamedFile struct {
	*os.File
	temporary string // its name, "" if it has none
}

// NewUnnamedFile makes a file that only its owner may read, in the folder of path.
func NewUnnamedFile(path string) (*unnamedFile, error) {
	folder := filepath.Dir(path)
	fd, err := unix.Open(folder, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return &unnamedFile{File: os.NewFile(uintptr(fd), path)}, nil
	}
	file, err := os.CreateTemp(folder, "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, err
	}
	return &unnamedFile{File: file, temporary: file.Name()}, nil
}

// Appear gives the file its name, if that isn't there.
func (f *unnamedFile) Appear(path string) error {
	if f.temporary == "" {
		err := unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.AT_FDCWD, path,
			unix.AT_SYMLINK_FOLLOW)
		if err != nil {
			return err
		}
		return f.Close()
	}
	err := unix.Renameat2(unix.AT_FDCWD, f.temporary, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	// a file system that can't say so: it was not there at the beginning
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		err = os.Rename(f.temporary, path)
	}
	if err != nil {
		return err
	}
	f.temporary = ""
	return f.Close()
}

// Drop forgets the file, unless it has appeared.
func (f *unnamedFile) Drop() {
	f.Close()
	if f.temporary != "" {
		os.Remove(f.temporary)
	}
}

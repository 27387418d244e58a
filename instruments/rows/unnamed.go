package rows

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"ri/files"
)

// unnamedFile is a file that gets its name when it is whole. Until then it has none (O_TMPFILE), so that nothing is
// left of it however ri ends; a file system that knows no such files has it under a temporary name.
type unnamedFile struct {
	*os.File
	temporary *Temporary // its name, nil if it has none
}

// NewUnnamedFile makes a file that only its owner may read, in the folder of path.
func NewUnnamedFile(path string) (*unnamedFile, error) {
	if err := files.Outside(path); err != nil {
		return nil, err
	}
	fd, err := unix.Open(filepath.Dir(path), unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return &unnamedFile{File: os.NewFile(uintptr(fd), path)}, nil
	}
	return newNamedFile(path)
}

// newNamedFile is NewUnnamedFile for any file system.
func newNamedFile(path string) (*unnamedFile, error) {
	t, err := NewTemporary(path, false)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(t.Path, os.O_RDWR, 0)
	if err != nil {
		t.Drop()
		return nil, err
	}
	return &unnamedFile{File: file, temporary: t}, nil
}

// Appear gives the file its name, if that isn't there.
func (f *unnamedFile) Appear(path string) error {
	if f.temporary == nil {
		if err := f.link(path); err != nil {
			return err
		}
		return f.Close()
	}
	err := unix.Renameat2(unix.AT_FDCWD, f.temporary.Path, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	// a file system that can't say so: it was not there at the beginning
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		err = os.Rename(f.temporary.Path, path)
	}
	if err != nil {
		return err
	}
	f.temporary.Drop()
	return f.Close()
}

// Replace gives the file its name, in the place of what is there.
func (f *unnamedFile) Replace(path string) error {
	if f.temporary == nil {
		err := f.link(path)
		if err == nil {
			return f.Close()
		}
		if !errors.Is(err, os.ErrExist) {
			return err
		}
		if f.temporary, err = NewTemporary(path, false); err != nil {
			return err
		}
		_ = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) // nobody else can have it
		if err := errors.Join(os.Remove(f.temporary.Path), f.link(f.temporary.Path)); err != nil {
			return err
		}
	}
	if err := os.Rename(f.temporary.Path, path); err != nil {
		return err
	}
	f.temporary.Drop()
	return f.Close()
}

func (f *unnamedFile) link(path string) error {
	err := unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.LinkError{Op: "link", Old: "a file without a name", New: path, Err: err}
	}
	return nil
}

// Drop forgets the file, unless it has appeared.
func (f *unnamedFile) Drop() {
	f.Close()
	if f.temporary != nil {
		f.temporary.Drop()
	}
}

// Temporary is a file or folder that grows beside the path which it gets when it is whole. It is locked (flock(2))
// while ri lives: one that isn't is left of a ri that was killed, and the next that makes such a path takes it away.
type Temporary struct {
	Path string
	lock *os.File
}

// temporaryMark is in the names of what is temporary.
const temporaryMark = ".ri-"

// temporaries are those that are there.
var temporaries struct {
	mu  sync.Mutex
	all map[*Temporary]struct{}
}

// NewTemporary makes what is to become path, a folder or a file, and takes away what was left of others of that path.
func NewTemporary(path string, folder bool) (*Temporary, error) {
	if err := files.Outside(path); err != nil {
		return nil, err
	}
	dropLeft(path)
	parent, pattern := filepath.Dir(path), "."+filepath.Base(path)+temporaryMark+"*"
	for {
		var name string
		var err error
		if folder {
			name, err = os.MkdirTemp(parent, pattern)
		} else {
			var f *os.File
			if f, err = os.CreateTemp(parent, pattern); err == nil {
				name = f.Name()
				f.Close()
			}
		}
		if err != nil {
			return nil, err
		}
		t := &Temporary{Path: name}
		if t.lock = locked(name); t.lock == nil {
			continue // another one has just taken it for one that was left
		}
		temporaries.mu.Lock()
		if temporaries.all == nil {
			temporaries.all = map[*Temporary]struct{}{}
		}
		temporaries.all[t] = struct{}{}
		temporaries.mu.Unlock()
		return t, nil
	}
}

// locked locks what has a name; nil if somebody else has locked it, or it is another one by then.
func locked(name string) *os.File {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOLCK) {
		return f // no such locks there; nothing is taken away then, either
	}
	now, err1 := os.Lstat(name)
	mine, err2 := f.Stat()
	if err != nil || err1 != nil || err2 != nil || !os.SameFile(now, mine) {
		f.Close()
		return nil
	}
	return f
}

// dropLeft takes away what nobody has locked of the temporaries of a path, if it is this user's.
func dropLeft(path string) {
	prefix := "." + filepath.Base(path) + temporaryMark
	entries, _ := os.ReadDir(filepath.Dir(path))
	for _, e := range entries {
		name := filepath.Join(filepath.Dir(path), e.Name())
		if !strings.HasPrefix(e.Name(), prefix) || !e.Type().IsRegular() && !e.IsDir() {
			continue
		}
		f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		var st unix.Stat_t
		if unix.Fstat(int(f.Fd()), &st) == nil && int(st.Uid) == os.Geteuid() &&
			unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			os.RemoveAll(name)
		}
		f.Close()
	}
}

// Drop takes it away, unless it was renamed.
func (t *Temporary) Drop() {
	temporaries.mu.Lock()
	defer temporaries.mu.Unlock()
	t.drop()
}

func (t *Temporary) drop() {
	if _, there := temporaries.all[t]; there {
		delete(temporaries.all, t)
		os.RemoveAll(t.Path)
		t.lock.Close()
	}
}

// DropTemporaries takes away all that isn't whole: ri is about to end, wherever it is.
func DropTemporaries() {
	temporaries.mu.Lock()
	defer temporaries.mu.Unlock()
	for t := range temporaries.all {
		t.drop()
	}
}

// finishing counts the files that are wanted although a signal came.
var finishing atomic.Int32

// Finishing has a signal wait for a file that it ends, and that is to be whole: a recording of what passes by. A second
// signal doesn't wait.
func Finishing() (done func()) {
	finishing.Add(1)
	return func() { finishing.Add(-1) }
}

// IsFinishing tells whether there is such a file.
func IsFinishing() bool { return finishing.Load() > 0 }

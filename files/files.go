// Package files opens what ri is given as files: regular ones, of a bounded size, and only those that nobody else could
// have written where nobody named them. A pipe may never say anything, a device never end; a folder that others may
// write to is theirs.
//
// What may not come in: what is in the files.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// MaxText bounds scripts and catalogues, in bytes.
const MaxText = 1 << 20

// Errors that callers test for.
var (
	// ErrNotRegular: a folder, pipe, socket or device.
	ErrNotRegular = errors.New("no regular file")
	// ErrTooLarge: more than was allowed.
	ErrTooLarge = errors.New("too large")
	// ErrNotBelieved: somebody else could have written it.
	ErrNotBelieved = errors.New("not believed")
)

// Open opens a regular file for reading. It never waits for anybody.
func Open(path string) (*os.File, error) {
	if err := Outside(path); err != nil {
		return nil, err
	}
	return open(path)
}

// In is Open below a root, which no symbolic link leads out of.
func In(root *os.Root) func(path string) (*os.File, error) {
	return func(path string) (*os.File, error) {
		return regular(root.OpenFile(strings.TrimLeft(path, "/"), os.O_RDONLY|syscall.O_NONBLOCK, 0))
	}
}

func open(path string) (*os.File, error) {
	return regular(os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)) // a pipe without a writer would be waited for
}

func regular(file *os.File, err error) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: file.Name(), Err: fmt.Errorf("is %s: %w", kind(info.Mode()), ErrNotRegular)}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// Read reads a regular file of at most so many bytes.
func Read(path string, most int64) ([]byte, error) {
	file, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return read(file, path, most)
}

// ReadBelieved is Read of a file that Believe allows.
func ReadBelieved(path string, most int64) ([]byte, error) {
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := read(file, path, most)
	if err == nil {
		err = Believe(path)
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// ReadSigned is Read of a file that nobody named from elsewhere, and that says by a signature whose it is, wherever it
// lies.
func ReadSigned(path string, most int64) ([]byte, error) {
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return read(file, path, most)
}

// Owner names the user whom a file belongs to, "" where that can't be told.
func Owner(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	uid, known := ownerOf(info)
	if !known {
		return ""
	}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return "user " + strconv.Itoa(uid)
}

func read(file *os.File, path string, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(file, most+1)) // whatever its size is said to be
	if err == nil && int64(len(data)) > most {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("has more than %d bytes: %w", most, ErrTooLarge)}
	}
	return data, err
}

// Believe tells whether only this user or root could have written a file: both it and all folders that lead to it are
// theirs, and nobody else may write to them. A folder in which nobody may touch others' files (sticky, as /tmp) will
// do. The error is ErrNotBelieved and says what to do.
func Believe(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	for at := real; err == nil; at = filepath.Dir(at) {
		var info fs.FileInfo
		if info, err = os.Stat(at); err == nil {
			err = believe(at, info)
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	return err
}

func believe(path string, info fs.FileInfo) error {
	owner, known := ownerOf(info)
	switch mode := info.Mode(); {
	case !known || owner != 0 && owner != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d, and is believed only if it is yours or root's: %w", path, owner,
			ErrNotBelieved)
	case mode.Perm()&0o022 != 0 && !(mode.IsDir() && mode&fs.ModeSticky != 0):
		return fmt.Errorf("others may write to %s, so it is not believed: chmod go-w %s: %w", path, path, ErrNotBelieved)
	}
	return nil
}

func ownerOf(info fs.FileInfo) (uid int, known bool) {
	st, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return 0, false
	}
	return int(st.Uid), true
}

// Dir is a folder as scripts are read from: regular files of at most MaxText bytes; with believed, only such as Believe
// allows.
func Dir(folder string, believed bool) fs.FS { return dir{folder, believed} }

type dir struct {
	folder   string
	believed bool
}

// Open implements fs.FS.
func (d dir) Open(name string) (fs.File, error) {
	fault := func(err error) (fs.File, error) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if !fs.ValidPath(name) {
		return fault(fs.ErrInvalid)
	}
	path := filepath.Join(d.folder, filepath.FromSlash(name))
	opened := Open
	if d.believed {
		opened = open
	}
	file, err := opened(path)
	if err != nil {
		var inner *fs.PathError
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return fault(err)
	}
	info, err := file.Stat()
	if err == nil && info.Size() > MaxText {
		err = fmt.Errorf("has %d bytes, more than %d: %w", info.Size(), MaxText, ErrTooLarge)
	}
	if err == nil && d.believed {
		err = Believe(path)
	}
	if err != nil {
		file.Close()
		return fault(err)
	}
	return file, nil
}

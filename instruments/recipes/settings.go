package recipes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"gopkg.in/yaml.v3"

	"ri/instruments/rows"
)

// Settings are what a user says once, in ri/config.yaml of the folder of settings.
type Settings struct {
	// Precopy says that copies of all memory are made while the process runs, where the kernel allows that: it costs a
	// system call that is made in the process.
	Precopy bool `yaml:"precopy"`
}

// mostSettings is how long the file may be, in bytes.
const mostSettings = 64 << 10

// ReadSettings reads the user's settings. Without a file there are none. One that is not to be believed, or has a mistake,
// is an error: then there are none either.
func ReadSettings() (Settings, error) {
	dir := configDir()
	if dir == "" {
		return Settings{}, nil
	}
	path := filepath.Join(dir, "ri", "config.yaml")
	data, err := readOwn(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Settings{}, nil
	}
	if err != nil {
		return Settings{}, fmt.Errorf("settings %s, which are not followed: %w", path, rows.UnwrapPath(err))
	}
	var s Settings
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err = d.Decode(&s); err == nil {
		if d.Decode(new(any)) != io.EOF {
			err = errors.New("there is more than one document")
		}
	}
	if err != nil && err != io.EOF {
		return Settings{}, fmt.Errorf("settings %s, which are not followed: %w (known is precopy: true)", path, err)
	}
	return s, nil
}

// readOwn reads a file that belongs to the user or to root, and that nobody else may write.
func readOwn(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may be a FIFO
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	case !ok || owner.Uid != 0 && int(owner.Uid) != os.Geteuid():
		return nil, errors.New("it belongs to another user")
	case info.Mode().Perm()&0o022 != 0:
		return nil, fmt.Errorf("others may write to it (mode %04o): chmod go-w would do", info.Mode().Perm())
	case info.Size() > mostSettings:
		return nil, fmt.Errorf("it has %d bytes, more than %d", info.Size(), mostSettings)
	}
	return io.ReadAll(io.LimitReader(f, mostSettings))
}

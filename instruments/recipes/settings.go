package recipes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"gopkg.in/yaml.v3"

	"ri/files"
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

// ReadSettings reads the user's settings. Without a file there are none. One that is not to be believed, or has a
// mistake, is an error: then there are none either.
func ReadSettings() (Settings, error) {
	dir := files.ConfigFolder()
	if dir == "" {
		return Settings{}, nil
	}
	path := filepath.Join(dir, "ri", "config.yaml")
	data, err := files.ReadBelieved(path, mostSettings)
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

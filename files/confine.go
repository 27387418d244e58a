package files

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// ErrElsewhere: a path is not of those that a command from elsewhere may name.
var ErrElsewhere = errors.New("lies at the agent's, and can't be named from elsewhere")

// confined is below which all lies that is opened or made by name, and how that was written; "": anything may be.
var confined, confinedAs string

// Confine has this process open and make by name only what lies below a folder, from now on: what it does is asked for
// from elsewhere. Files that only this user or root could have written (ReadBelieved) are its own, and read all the
// same, and so are descriptors of its own.
func Confine(folder string) {
	confinedAs = folder
	if real, err := filepath.EvalSymlinks(folder); err == nil && folder != "" {
		folder = real
	}
	confined = folder
}

// Confined tells whether what this process does is asked for from elsewhere.
func Confined() bool { return confined != "" }

// AsNamed is a text in which what lies below the folder of Confine is called as who asks from elsewhere called it.
func AsNamed(text string) string {
	if confined == "" {
		return text
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, confined+"/", "/"), confinedAs+"/", "/")
}

// Outside refuses a path that Confine keeps out.
func Outside(path string) error {
	if confined == "" {
		return nil
	}
	abs, err := filepath.Abs(path)
	if err == nil {
		if strings.HasPrefix(abs, "/proc/self/fd/") {
			return nil
		}
		// what is to be made isn't there: its folder is
		if real, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
			abs = filepath.Join(real, filepath.Base(abs))
		}
		if strings.HasPrefix(abs, confined+"/") {
			return nil
		}
	}
	return fmt.Errorf("%s %w: name a file of the machine where you type", path, ErrElsewhere)
}

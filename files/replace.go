package files

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace puts a file in the place of another, whole or not at all, also where the machine stops meanwhile.
func Replace(path string, text []byte, mode os.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // fails once it was renamed
	_, err = temp.Write(text)
	if err := errors.Join(err, temp.Chmod(mode), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

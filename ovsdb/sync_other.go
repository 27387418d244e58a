//go:build !linux

package ovsdb

import "os"

// writeDurably writes at an offset and waits until that is on the disk.
func writeDurably(f *os.File, b []byte, offset int64) error {
	if _, err := f.WriteAt(b, offset); err != nil {
		return err
	}
	return f.Sync()
}

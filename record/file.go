package record

import (
	"io"
	"os"

	"ri/record/format"
	"ri/record/seal"
)

// outputFile is a recording that is written, encrypted if it is for somebody.
type outputFile struct {
	*format.Writer
	sealed io.WriteCloser // nil: it isn't
}

// begin begins a file anew, whatever was written into it: of a try before, whose copy lacked something.
func begin(disk *os.File, to seal.Recipients, header *Header) (f *outputFile, err error) {
	if err := disk.Truncate(0); err != nil {
		return nil, err
	}
	f = &outputFile{}
	if to.None() {
		f.Writer, err = format.NewWriter(disk, header)
		return f, err
	}
	if _, err := disk.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if f.sealed, err = seal.Writer(disk, to); err != nil {
		return nil, err
	}
	f.Writer, err = format.NewStream(f.sealed, header)
	return f, err
}

// Close writes the end.
func (f *outputFile) Close(header *Header) error {
	if err := f.Writer.Close(header); err != nil || f.sealed == nil {
		return err
	}
	return f.sealed.Close()
}

package commands

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"ri/attach/recorded"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/record"
)

// ExportOptions says as what a recording is exported.
type ExportOptions struct {
	Core bool   // an ELF core, not JSON
	File string // which must not be there; "": standard output
}

// RecordingExport writes what a recording keeps in clear in another form. A file appears whole or not at all.
func RecordingExport(out *rows.Output, choice looks.TargetChoice, opt ExportOptions) error {
	if opt.Core && opt.File == "" {
		return rows.Usagef("--core writes a file: name one that isn't there yet (-o CORE)")
	}
	if file, r, err := openStreams(choice.Recording); err != nil {
		return err
	} else if r != nil {
		defer file.Close()
		return streamsExport(out, choice.Recording, r, opt)
	}
	r, err := openRecording(out, choice)
	if err != nil {
		return err
	}
	defer r.Close()
	if opt.File == "" {
		err := record.Export(r.File(), r, out.Stdout)
		if errors.Is(err, unix.EPIPE) { // who reads has enough
			return nil
		}
		return refusedToRead(err)
	}
	return newFile(opt.File, func(file *os.File) error { return exportTo(out, r, file, opt) })
}

func exportTo(out *rows.Output, r *recorded.Recording, file *os.File, opt ExportOptions) error {
	if opt.Core {
		done, err := record.Core(r.File(), r, file)
		if err != nil {
			return refusedToRead(err)
		}
		out.Log(fmt.Sprintf("%s: core of %s, %s of memory, %s; what was not recorded reads as zero in it\nlook at it: "+
			"dlv core EXECUTABLE %s, gdb EXECUTABLE %s, ri run goroutines -c %s --exe EXECUTABLE", opt.File, r.Describe(),
			rows.ShortBytes(done.Stored), rows.Plural(int64(done.Threads), "thread"), opt.File, opt.File, opt.File))
		return nil
	}
	if err := record.Export(r.File(), r, file); err != nil {
		return refusedToRead(err)
	}
	size, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	out.Log(fmt.Sprintf("%s: %s, a JSON object a line", opt.File, rows.ShortBytes(size)))
	return nil
}

// notThere refuses a file that is there: nothing is overwritten.
func notThere(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return rows.Usagef("-o %s: is there already, and nothing is overwritten; name another file", path)
	}
	return nil
}

// newFile writes a file, which appears whole or not at all, and overwrites nothing.
func newFile(path string, write func(*os.File) error) error {
	if err := notThere(path); err != nil {
		return err
	}
	file, err := rows.NewUnnamedFile(path)
	if err != nil {
		return rows.Usage(fmt.Errorf("-o %s: %w", path, rows.UnwrapPath(err)))
	}
	defer file.Drop()
	if err := write(file.File); err != nil {
		return err
	}
	if err := file.Appear(path); err != nil {
		return fmt.Errorf("-o %s: %w", path, rows.UnwrapPath(err))
	}
	return nil
}

// refusedToRead marks an error of what is read as a refusal. One of what is written, a full disk, is none.
func refusedToRead(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) && (strings.HasPrefix(p.Op, "write") || p.Op == "truncate") {
		return err
	}
	return rows.Refused(err)
}

package commands

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/instruments/looks"
	"ri/instruments/rows"
)

// CoreOptions says what core to write.
type CoreOptions struct {
	File   string // which must not be there
	Shared bool   // shared memory, too
}

// coreTarget is a process that a core can be written of.
type coreTarget interface {
	attach.Target
	attach.Dumpable
}

func (o CoreOptions) check(choice looks.TargetChoice) error {
	switch {
	case choice.PID != "" && choice.Recording != "":
		return rows.Usagef("-p and -r exclude each other: a core of a process, or of a recording")
	case choice.Core != "" || choice.PID == "" && choice.Recording == "":
		return rows.Usagef("ri core writes a core of a running process: name it with -p PID (ri ps lists the Go " +
			"processes here), or a recording with -r FILE")
	case o.File == "" || o.File == "-":
		return rows.Usagef("ri core writes into a file: name one that isn't there yet (-o core.%s)",
			cmp.Or(choice.PID, "1"))
	}
	if _, err := os.Lstat(o.File); err == nil {
		return rows.Usagef("-o %s: is there already, and ri core overwrites nothing; name another file", o.File)
	}
	return nil
}

// WriteCore writes a core of a process, which appears whole or not at all.
func WriteCore(ctx context.Context, out *rows.Output, choice looks.TargetChoice, look looks.Options,
	opt CoreOptions) error {
	if err := opt.check(choice); err != nil {
		return err
	}
	if choice.Recording != "" {
		return RecordingExport(out, choice, ExportOptions{Core: true, File: opt.File})
	}
	target, err := choice.Open()
	if err != nil {
		return err
	}
	defer target.Close()
	p, ok := target.(coreTarget)
	if !ok {
		return rows.Refused(fmt.Errorf("a core of %s: %w here", target.Describe(), attach.ErrNotSupported))
	}
	core := coreOptions(look, opt.Shared)
	if err := coreAffordable(p, core); err != nil {
		return err
	}
	if err := diskFor(p, core, opt.File); err != nil {
		return err
	}
	file, err := rows.NewUnnamedFile(opt.File)
	if err != nil {
		return rows.Usage(fmt.Errorf("-o %s: %w", opt.File, rows.UnwrapPath(err)))
	}
	defer file.Drop()
	began := time.Now()
	written, err := dumpCore(ctx, out, p, file.File, core, look.Wait)
	if err != nil {
		return err
	}
	if err := file.Appear(opt.File); err != nil {
		return fmt.Errorf("-o %s: %w", opt.File, rows.UnwrapPath(err))
	}
	return reportCore(out, p, opt.File, written, time.Since(began))
}

// coreOptions are those of a core that is made as a look says.
func coreOptions(look looks.Options, shared bool) attach.CoreOptions {
	core := attach.CoreOptions{MaxStop: look.MaxStop, Precopy: look.MayPrecopy(), Spool: look.Spool, Shared: shared}
	if core.MaxStop == 0 {
		core.MaxStop = attach.DefaultMaxStop
	}
	return core
}

// dumpCore writes a core into a file, and tells how far it is if that takes long. If another tracer has the process, it
// is waited for with patience.
func dumpCore(ctx context.Context, out *rows.Output, p coreTarget, file *os.File, core attach.CoreOptions,
	patience time.Duration) (written attach.CoreWritten, err error) {
	began := time.Now()
	core.Progress = func(done, total int64) {
		if time.Since(began) > time.Second {
			out.Progress(done>>20, total>>20, "writing the core, MiB")
		}
	}
	err = looks.WhenFree(ctx, patience, func() (err error) { // of a process that isn't free, nothing is written
		written, err = p.WriteCore(ctx, file, core)
		return err
	})
	for _, note := range written.Notes {
		out.Log("note: " + note)
	}
	return written, looks.ViewError(longerCopy(err, core.MaxStop, core.Precopy))
}

// coreAffordable refuses a core that would take too long a stop, or more memory than there is.
func coreAffordable(p coreTarget, core attach.CoreOptions) error {
	if p.Kind() == attach.Dying { // which isn't stopped, and not copied
		return nil
	}
	opt := attach.ViewOptions{Kind: attach.Snapshot, Bulk: true, MaxStop: core.MaxStop}
	opt.Precopy, opt.Spool = core.Precopy, core.Spool
	return (&looks.Session{Target: p}).AffordableOr(opt, "", "")
}

// diskFor refuses a core for which the disk has no room.
func diskFor(p coreTarget, core attach.CoreOptions, path string) error {
	cost, err := p.CoreCost(core)
	if err != nil {
		return looks.ViewError(err)
	}
	var disk unix.Statfs_t
	folder := filepath.Dir(path)
	if err := unix.Statfs(folder, &disk); err != nil {
		return rows.Usagef("-o %s: its folder %s: %v", path, folder, err)
	}
	if room := int64(disk.Bavail) * disk.Bsize; cost.Disk > room {
		return rows.Refused(fmt.Errorf("a core of %s takes about %s, and on the disk of %s %s are left; name a file on "+
			"another one (-o)",
			p.Describe(), rows.ShortBytes(cost.Disk), folder, rows.ShortBytes(room)))
	}
	return nil
}

// reportCore says what was written.
func reportCore(out *rows.Output, p coreTarget, path string, w attach.CoreWritten, took time.Duration) error {
	rate := float64(w.Stored) / took.Seconds()
	if out.Format != rows.Table {
		out.Of = &rows.Result{Target: rows.Program{Kind: string(p.Kind()), PID: p.PID(), Executable: p.ExecutablePath()},
			View: string(attach.Snapshot), Stats: rows.Stats(w.Stats)}
		return out.WriteOne(rows.Of("file", path, "size_bytes", w.Size, "stored_bytes", w.Stored, "threads",
			int64(w.Threads), "took_ns", took))
	}
	return out.WriteText(fmt.Sprintf("%s: core of %s, %d threads: %s, of which %s are stored and the rest are holes; "+
		"%s, written in %s (%.0f MB/s)\n",
		path, p.Describe(), w.Threads, rows.ShortBytes(w.Size), rows.ShortBytes(w.Stored), stopText(w.Stats),
		rows.ShortDuration(took), rate/1e6))
}

// stopText says how long a process was stopped.
func stopText(s attach.Stats) string {
	if s.Stops == 0 {
		return "not stopped"
	}
	return "stopped " + rows.ShortDuration(s.Stopped)
}

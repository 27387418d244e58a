package commands

import (
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
	case choice.Core != "" || choice.PID == "":
		return rows.Usagef("ri core writes a core of a running process: name it with -p PID (ri ps lists the Go processes here)")
	case o.File == "" || o.File == "-":
		return rows.Usagef("ri core writes into a file: name one that isn't there yet (-o core.%s)", choice.PID)
	}
	if _, err := os.Lstat(o.File); err == nil {
		return rows.Usagef("-o %s: is there already, and ri core overwrites nothing; name another file", o.File)
	}
	return nil
}

// WriteCore writes a core of a process, which appears whole or not at all.
func WriteCore(ctx context.Context, out *rows.Output, choice looks.TargetChoice, look looks.Options, opt CoreOptions) error {
	if err := opt.check(choice); err != nil {
		return err
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
	core := attach.CoreOptions{MaxStop: look.MaxStop, Precopy: look.Precopy, Spool: look.Spool, Shared: opt.Shared}
	if core.MaxStop == 0 {
		core.MaxStop = attach.DefaultMaxStop
	}
	if err := coreAffordable(p, core, opt.File); err != nil {
		return err
	}
	file, err := rows.NewUnnamedFile(opt.File)
	if err != nil {
		return rows.Usage(fmt.Errorf("-o %s: %w", opt.File, rows.UnwrapPath(err)))
	}
	defer file.Drop()
	began := time.Now()
	core.Progress = func(done, total int64) {
		if time.Since(began) > time.Second {
			out.Progress(done>>20, total>>20, "writing the core, MiB")
		}
	}
	var written attach.CoreWritten
	err = whenFree(ctx, look.Wait, func() (err error) { // of a process that isn't, nothing is written
		written, err = p.WriteCore(ctx, file.File, core)
		return err
	})
	if err != nil {
		return looks.ViewError(longerCopy(err, core.MaxStop, core.Precopy))
	}
	if err := file.Appear(opt.File); err != nil {
		return fmt.Errorf("-o %s: %w", opt.File, rows.UnwrapPath(err))
	}
	return reportCore(out, p, opt.File, written, time.Since(began))
}

// coreAffordable refuses a core that would take too long a stop, or more memory or disk than there is.
func coreAffordable(p coreTarget, core attach.CoreOptions, path string) error {
	cost, err := p.CoreCost(core)
	if err != nil {
		return looks.ViewError(err)
	}
	if p.Kind() != attach.Dying { // which isn't stopped, and not copied
		s := &looks.Session{Target: p}
		if err := s.AffordableOr(attach.ViewOptions{Kind: attach.Snapshot, Bulk: true, MaxStop: core.MaxStop, Precopy: core.Precopy, Spool: core.Spool}, "", ""); err != nil {
			return err
		}
	}
	var disk unix.Statfs_t
	folder := filepath.Dir(path)
	if err := unix.Statfs(folder, &disk); err != nil {
		return rows.Usagef("-o %s: its folder %s: %v", path, folder, err)
	}
	if room := int64(disk.Bavail) * disk.Bsize; cost.Disk > room {
		return rows.Refused(fmt.Errorf("a core of %s takes about %s, and on the disk of %s %s are left; name a file on another one (-o)",
			p.Describe(), rows.ShortBytes(cost.Disk), folder, rows.ShortBytes(room)))
	}
	return nil
}

// reportCore says what was written.
func reportCore(out *rows.Output, p coreTarget, path string, w attach.CoreWritten, took time.Duration) error {
	for _, note := range w.Notes {
		out.Log("note: " + note)
	}
	rate := float64(w.Stored) / took.Seconds()
	if out.Format != rows.Table {
		return out.WriteDocument(rows.Of("file", path, "bytes", w.Size, "stored", w.Stored, "threads", int64(w.Threads),
			"stops", int64(w.Stats.Stops), "stopped", w.Stats.Stopped.Seconds(), "seconds", took.Seconds()))
	}
	stop := "not stopped"
	if w.Stats.Stops > 0 {
		stop = "stopped " + rows.ShortDuration(w.Stats.Stopped)
	}
	return out.WriteText(fmt.Sprintf("%s: core of %s, %d threads: %s, of which %s are stored and the rest are holes; %s, written in %s (%.0f MB/s)\n",
		path, p.Describe(), w.Threads, rows.ShortBytes(w.Size), rows.ShortBytes(w.Stored), stop, rows.ShortDuration(took), rate/1e6))
}

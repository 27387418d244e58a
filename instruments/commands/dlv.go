package commands

import (
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"ri/attach"
	"ri/attach/recorded"
	"ri/files"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/record"
	"ri/referee"
	"ri/symbols"
)

// DlvOptions says how Delve is to be had.
type DlvOptions struct {
	Headless bool
	Listen   string // unix:PATH or HOST:PORT
	Shared   bool   // copy shared memory, too
	// Listener has whoever comes from elsewhere, who listens there; nil: it is listened here.
	Listener net.Listener
}

// DefaultListen is any free port, for this machine only.
const DefaultListen = "127.0.0.1:0"

func (o DlvOptions) check(choice looks.TargetChoice) error {
	if err := choice.Need(); err != nil {
		return err
	}
	if !o.Headless && o.Listen != "" {
		return rows.Usagef("--listen goes with --headless: without it, Delve's terminal opens here")
	}
	return nil
}

// ListenForDlv is where programs come here that Delve is served to elsewhere. warn is told of who is refused.
func ListenForDlv(address string, warn func(string)) (net.Listener, error) {
	l, err := listenForDlv(address)
	if err != nil {
		return nil, err
	}
	return referee.Guard(l, func(format string, args ...any) { warn("note: " + fmt.Sprintf(format, args...)) }), nil
}

// listenForDlv opens the socket on which Delve is served: only on this machine, since a copy holds all that a process
// has in memory.
func listenForDlv(address string) (net.Listener, error) {
	if address == "" {
		address = DefaultListen
	}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if path == "" {
			return nil, rows.Usagef("--listen unix:PATH needs a path")
		}
		if _, err := os.Lstat(path); err == nil {
			return nil, rows.Usagef("--listen %s: is there already; name another path, or remove it", address)
		}
		l, err := net.Listen("unix", path)
		if err == nil {
			if err = os.Chmod(path, 0o600); err != nil {
				l.Close()
			}
		}
		if err != nil {
			return nil, rows.Usagef("--listen %s: %w", address, unwrapListen(err))
		}
		return l, nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, rows.Usagef("--listen %s: an address is unix:PATH or 127.0.0.1:PORT", rows.QuoteName(address))
	}
	if ip := net.ParseIP(host); host != "localhost" && !ip.IsLoopback() {
		return nil, rows.Usagef("--listen %s: only on this machine (127.0.0.1:PORT, or unix:PATH), as the copy "+
			"holds all that "+
			"the process has in memory; from elsewhere come by ssh -L", rows.QuoteName(address))
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, rows.Usagef("--listen %s: %w", rows.QuoteName(address), unwrapListen(err))
	}
	return l, nil
}

// unwrapListen leaves out what the message says anyhow.
func unwrapListen(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return rows.UnwrapPath(err)
}

// Dlv opens Delve on a copy of a process, which runs on, or on a core: its terminal, or its API and DAP for other
// programs.
func Dlv(ctx context.Context, out *rows.Output, choice looks.TargetChoice, look looks.Options, opt DlvOptions) error {
	if err := opt.check(choice); err != nil {
		return err
	}
	listener := opt.Listener
	if opt.Headless && listener == nil {
		var err error
		if listener, err = listenForDlv(opt.Listen); err != nil {
			return err
		}
	}
	if listener != nil {
		defer listener.Close()
	}
	target, err := choice.Open()
	if err != nil {
		return err
	}
	defer target.Close()
	delve := referee.Copy{Core: choice.Core, Of: target.Describe()}
	exe, err := executableFor(target, choice)
	if err != nil {
		return rows.Refused(err)
	}
	if choice.Recording != "" {
		defer exe.Close()
	}
	delve.Executable = openFile(exe) // what runs, whatever lies at its path now
	if _, err := buildinfo.Read(exe); err != nil {
		return rows.Refused(fmt.Errorf("%s: %w", target.Describe(), symbols.ErrNotGo))
	}
	if err := debugInfo(exe); err != nil {
		separate, done, found := debugFolder(target, exe, choice)
		defer done()
		switch {
		case found != nil:
			return rows.Refused(fmt.Errorf("%s: %w", target.Describe(), found))
		case separate == "":
			out.Log("note: " + err.Error())
		default:
			delve.DebugInfo = []string{separate}
		}
	}
	switch r, recorded := target.(*recorded.Recording); {
	case recorded:
		core, err := coreForDelve(out, r, look.Spool)
		if err != nil {
			return err
		}
		defer core.Close()
		delve.Core = openFile(core)
	case choice.Core == "":
		core, err := copyForDelve(ctx, out, target, look, opt.Shared)
		if err != nil {
			return err
		}
		defer core.Close()
		delve.Core, delve.Of = openFile(core), delve.Of+", which runs on"
	}
	warn := func(format string, args ...any) { out.Log("note: " + fmt.Sprintf(format, args...)) }
	if !opt.Headless {
		return referee.Terminal(ctx, delve, warn)
	}
	// As dlv says it, for programs that wait for it.
	ready := func() { _ = out.WriteText("API server listening at: " + listener.Addr().String() + "\n") }
	return referee.Serve(ctx, delve, listener, ready, warn)
}

// openFile is a path of a file that is open, whether it has a name or not.
func openFile(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// debugInfo says what Delve can't do on an executable without debug information.
func debugInfo(exe io.ReaderAt) error {
	f, err := elf.NewFile(exe)
	if err != nil || f.Section(".debug_info") != nil || f.Section(".zdebug_info") != nil {
		return nil // what else is wrong Delve says
	}
	return errors.New("the executable has no debug information (built with -ldflags=-s or -w, or stripped): Delve finds " +
		"threads and functions in it, but no goroutines, variables or types; ri finds goroutines and more (ri " +
		"recipes -p PID)")
}

// debugFolder makes a folder in which Delve finds the separate debug file that ri finds, by its build ID and by its
// name; "" where there is none.
func debugFolder(target attach.Target, exe *os.File, choice looks.TargetChoice) (folder string, done func(),
	err error) {
	done = func() {}
	file, wanted, err := choice.SeparateFor(target, exe)
	if file == nil {
		return "", done, err
	}
	if folder, err = os.MkdirTemp("", "ri-debug-"); err != nil {
		file.Close()
		return "", done, err
	}
	done = func() {
		file.Close()
		os.RemoveAll(folder)
	}
	var places []string
	if len(wanted.BuildID) > 2 {
		places = append(places, filepath.Join(".build-id", wanted.BuildID[:2], wanted.BuildID[2:]+".debug"))
	}
	if wanted.Link != "" {
		if path, err := filepath.EvalSymlinks(openFile(exe)); err == nil {
			places = append(places, filepath.Join(filepath.Dir(path), filepath.Base(wanted.Link)))
		}
	}
	if places == nil {
		return "", done, errors.New("--symbols: the program names its debug file neither by a build ID of the " +
			"linker's nor by a link (.gnu_debuglink), and Delve finds it by nothing else")
	}
	for _, place := range places {
		place = filepath.Join(folder, place)
		if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
			return "", done, err
		}
		if err := os.Symlink(openFile(file), place); err != nil {
			return "", done, err
		}
	}
	return folder, done, nil
}

// executableFor is the executable that Delve needs.
func executableFor(target attach.Target, choice looks.TargetChoice) (*os.File, error) {
	if exe, ok := target.Executable().(*os.File); ok {
		return exe, nil
	}
	if choice.Recording == "" {
		return nil, fmt.Errorf("a look by Delve at %s: %w here", target.Describe(), attach.ErrNotSupported)
	}
	if choice.Exe == "" {
		return nil, fmt.Errorf("the executable of %s is what Delve needs: name it with --exe EXE; without it, "+
			"ri exec, ri print and ri shell look at a recording: %w", target.Describe(), attach.ErrNotSupported)
	}
	exe, err := files.Open(choice.Exe)
	if err != nil {
		return nil, err
	}
	if err := choice.SameBuild(target); err != nil {
		exe.Close()
		return nil, err
	}
	return exe, nil
}

// coreForDelve makes a core of a recording.
func coreForDelve(out *rows.Output, r *recorded.Recording, spool string) (*os.File, error) {
	file, err := fileWithoutName(spool)
	if err != nil {
		return nil, err
	}
	if _, err := record.Core(r.File(), r, file); err != nil {
		file.Close()
		return nil, rows.Refused(err)
	}
	out.Log("note: Delve shows as zero what was not recorded")
	return file, nil
}

// copyForDelve copies a process in one stop into a file without a name: in memory, or on the disk of --spool.
func copyForDelve(ctx context.Context, out *rows.Output, target attach.Target, look looks.Options,
	shared bool) (*os.File, error) {
	p, ok := target.(coreTarget)
	if !ok {
		return nil, rows.Refused(fmt.Errorf("a copy of %s: %w here", target.Describe(), attach.ErrNotSupported))
	}
	core := coreOptions(look, shared)
	if err := coreAffordable(p, core); err != nil {
		return nil, err
	}
	if err := roomForBoth(p, core); err != nil {
		return nil, err
	}
	file, err := fileWithoutName(look.Spool)
	if err != nil {
		return nil, err
	}
	written, err := dumpCore(ctx, out, p, file, core, look.Wait)
	if err != nil {
		file.Close()
		return nil, err
	}
	out.Log(fmt.Sprintf("copy of %s, %d threads, %s: %s, and it runs on",
		target.Describe(), written.Threads, rows.ShortBytes(written.Stored), stopText(written.Stats)))
	return file, nil
}

// fileWithoutName makes a file that is gone when nobody has it open: in memory, or in a folder.
func fileWithoutName(folder string) (*os.File, error) {
	if folder != "" {
		f, err := os.OpenFile(folder, os.O_RDWR|unix.O_TMPFILE, 0o600)
		if err != nil {
			return nil, rows.Refused(fmt.Errorf("--spool %s: a file without a name: %w", rows.QuoteName(folder),
				rows.UnwrapPath(err)))
		}
		return f, nil
	}
	fd, err := unix.MemfdCreate("ri-copy", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, rows.Refused(fmt.Errorf("a file in memory: %w; --spool FOLDER takes one on a disk", err))
	}
	return os.NewFile(uintptr(fd), "copy"), nil
}

// roomForBoth refuses a copy where there is no room for what the stop copies and, until that is given back, the file
// that is made of it.
func roomForBoth(p coreTarget, core attach.CoreOptions) error {
	cost, err := p.CoreCost(core)
	if err != nil {
		return looks.ViewError(err)
	}
	need, where, way := cost.Stop.Bytes+cost.Disk, "memory here", "keep it on a disk (--spool FOLDER)"
	if core.Spool != "" {
		where, way = "the disk of "+core.Spool, "name a folder on another disk (--spool)"
	}
	if left := cost.Stop.Available; left > 0 && need > left {
		return rows.Refused(fmt.Errorf("a copy of %s needs %s of %s, and %s are left; %s",
			p.Describe(), rows.ShortBytes(need), where, rows.ShortBytes(left), way))
	}
	return nil
}

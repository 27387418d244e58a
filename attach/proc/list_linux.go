package proc

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// GoProcess is a process that runs a Go program.
type GoProcess struct {
	PID           int
	User          string // name, or the number where it has none here
	UID           uint32
	Name          string // comm, at most 15 bytes
	CommandLine   []string
	GoVersion     string // "go1.26.1"
	Module        string // path of the main module, or of the main package where there is no module
	ModuleVersion string // "(devel)" for most that were built from a checkout
	Started       time.Time
	StartTime     uint64 // in clock ticks since the machine came up
	Executable    string // as the process's own link names it
	HasSymbols    bool   // DWARF: .debug_info, also compressed
	Tracer        int    // pid of the tracer, 0 for none
	TracerName    string
	Stopped       bool // by SIGSTOP or the like
	Container     bool // in another pid namespace than ri
}

// Listing is what a look at all processes gave.
type Listing struct {
	Go []GoProcess // by pid
	// Unreadable are the pids of processes whose executable may not be read, so that it isn't known whether they are Go
	// programs.
	Unreadable []int
	// Other counts those that are no Go programs; kernel threads and zombies are among them.
	Other int
}

// Advice says what to do about the unreadable ones, "" if there are none.
func (l *Listing) Advice() string {
	if len(l.Unreadable) == 0 {
		return ""
	}
	why, todo := permissionReason(l.Unreadable[0])
	n := "1 process"
	if len(l.Unreadable) > 1 {
		n = fmt.Sprintf("%d processes", len(l.Unreadable))
	}
	return fmt.Sprintf("%s can't be read, pid %d for example: %s. %s", n, l.Unreadable[0], why, todo)
}

// List looks at every process in /proc. Those that end meanwhile are left out.
func List() (*Listing, error) { return new(Lister).List() }

// Lister looks again and again, and reads an executable once for as long as some process runs it. Who looks every few
// seconds is to pay next to nothing: of a process that runs the same executable as before all else is read in every
// tenth look, and whether it does, once it has been there for ten looks. So an exec, or another process of the same
// pid, may be noticed ten looks late, and a name that has changed. Where all have been there for so long, and the
// kernel says that no process and no thread began or ended since, a look in between reads nothing at all.
type Lister struct {
	last       *Listing
	population string
	young      bool // there was a process of less than ten looks
	seen       map[fileID]*goProgram
	known      map[int]known // by pid
	looks      int
}

// known is what a look has found.
type known struct {
	exe     fileID
	process *GoProcess // nil: it is none of Go's
	since   int        // the look that found it first
}

// thorough is of how many looks one reads everything, and for how many looks a process is young.
const thorough = 10

// List is the function List.
func (l *Lister) List() (*Listing, error) {
	if err := CheckProcMount(); err != nil {
		return nil, err
	}
	brief, there := l.looks%thorough != 0, population()
	if brief && l.last != nil && !l.young && there == l.population && there != "" {
		l.looks++
		return l.last, nil
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var pids []int
	own := os.Getpid()
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid != own {
			pids = append(pids, pid)
		}
	}
	sort.Ints(pids)
	boot := bootTime()
	list := &Listing{}
	seen, now, users := map[fileID]*goProgram{}, map[int]known{}, map[uint32]string{}
	l.looks++
	l.young = false
	defer func() { l.seen, l.known, l.last, l.population = seen, now, list, there }()
	for _, pid := range pids {
		if before, ok := l.known[pid]; ok && brief {
			exe, err := before.exe, error(nil)
			if l.looks-before.since < thorough {
				l.young = true
				exe, err = exeOf(pid)
			}
			if err == nil && exe == before.exe {
				now[pid], seen[exe] = before, l.seen[exe]
				if before.process == nil {
					list.Other++
				} else {
					list.Go = append(list.Go, *before.process)
				}
				continue
			}
		}
		p, exe, err := readGoProcess(pid, boot, seen, l.seen, users)
		if err == nil || errors.Is(err, errNotGo) {
			now[pid] = known{exe, p, l.looks}
			if before, ok := l.known[pid]; ok && before.exe == exe {
				now[pid] = known{exe, p, before.since}
			}
			l.young = l.young || l.looks-now[pid].since < thorough
		}
		switch {
		case err == nil:
			list.Go = append(list.Go, *p)
		case errors.Is(err, os.ErrPermission):
			list.Unreadable = append(list.Unreadable, pid)
		case Gone(err) && !exists(pid):
		default:
			list.Other++
		}
	}
	return list, nil
}

// population is what changes when a process or a thread begins or ends: how many there are, and the pid that was given
// last, of /proc/loadavg (fs/proc/loadavg.c of Linux 6.6); "": it can't be told.
func population() string {
	text, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) != 5 {
		return ""
	}
	_, all, _ := strings.Cut(fields[3], "/")
	return all + " " + fields[4]
}

func exists(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return err == nil
}

// goProgram is what an executable says of itself; many processes may share one.
type goProgram struct {
	goVersion, module, version string
	symbols                    bool
	err                        error
}

type fileID struct {
	dev, inode uint64
	modified   int64
	size       int64
}

var errNotGo = errors.New("not a Go program")

func readGoProcess(pid int, boot time.Time, seen, before map[fileID]*goProgram, users map[uint32]string) (p *GoProcess,
	id fileID, err error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	exe, err := os.Open(dir + "exe")
	if err != nil {
		return nil, id, err
	}
	defer exe.Close()
	if id, err = fileIDOf(exe); err != nil {
		return nil, id, err
	}
	prog := seen[id]
	if prog == nil {
		if prog = before[id]; prog == nil {
			prog = readProgram(exe)
		}
		seen[id] = prog
	}
	if errors.Is(prog.err, errNotGo) {
		if library := goLibrary(dir, seen, before); library != nil {
			prog = library
		}
	}
	if prog.err != nil {
		return nil, id, prog.err
	}
	st, err := ReadStatus(dir + "status")
	if err != nil {
		return nil, id, err
	}
	stat, err := ReadStat(dir + "stat")
	if err != nil {
		return nil, id, err
	}
	user, ok := users[st.Uids[1]]
	if !ok {
		user = UserName(st.Uids[1])
		users[st.Uids[1]] = user
	}
	p = &GoProcess{
		PID: pid, UID: st.Uids[1], User: user, Name: st.Name,
		GoVersion: prog.goVersion, Module: prog.module, ModuleVersion: prog.version, HasSymbols: prog.symbols,
		StartTime: stat.StartTime, Started: boot.Add(time.Duration(stat.StartTime) * (time.Second / ticksPerSecond)),
		Tracer: st.TracerPid, Stopped: st.State == 'T', Container: len(st.NSpid) > 1,
	}
	p.Executable, _ = os.Readlink(dir + "exe")
	if name, _, ok := strings.Cut(p.User, " ("); ok {
		p.User = name
	}
	if p.Tracer != 0 {
		p.TracerName = CommOf(p.Tracer)
	}
	if cmdline, err := os.ReadFile(dir + "cmdline"); err == nil && len(cmdline) > 0 {
		for _, arg := range bytes.Split(bytes.TrimSuffix(cmdline, []byte{0}), []byte{0}) {
			p.CommandLine = append(p.CommandLine, string(arg))
		}
	}
	return p, id, nil
}

// goLibrary is the first Go library (-buildmode=c-shared) that a program of another language has loaded; nil: none.
func goLibrary(dir string, seen, before map[fileID]*goProgram) *goProgram {
	data, err := os.ReadFile(dir + "maps")
	if err != nil {
		return nil
	}
	maps, err := ParseMaps(data)
	if err != nil {
		return nil
	}
	last := ""
	for _, m := range maps {
		if m.Offset != 0 || m.Path == last || !strings.HasPrefix(m.Path, "/") || !strings.Contains(m.Path, ".so") {
			continue
		}
		last = m.Path
		var st unix.Stat_t
		if unix.Stat(dir+"root"+m.Path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		id := idOf(&st)
		prog := seen[id]
		if prog == nil {
			if prog = before[id]; prog == nil {
				file, err := os.Open(dir + "root" + m.Path)
				if err != nil {
					continue
				}
				prog = readProgram(file)
				file.Close()
			}
			seen[id] = prog
		}
		if prog.err == nil {
			return prog
		}
	}
	return nil
}

// exeOf tells which file a process runs.
func exeOf(pid int) (fileID, error) {
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/exe", pid), &st); err != nil {
		return fileID{}, err
	}
	return idOf(&st), nil
}

// ticksPerSecond is USER_HZ, which is 100 on amd64 and arm64 whatever the kernel's own.
const ticksPerSecond = 100

func readProgram(exe io.ReaderAt) *goProgram {
	var magic [4]byte
	if _, err := exe.ReadAt(magic[:], 0); err != nil || string(magic[:]) != elf.ELFMAG {
		return &goProgram{err: errNotGo}
	}
	info, err := buildinfo.Read(exe)
	if err != nil {
		return &goProgram{err: errNotGo}
	}
	p := &goProgram{goVersion: info.GoVersion, module: info.Main.Path, version: info.Main.Version}
	if p.module == "" {
		p.module = info.Path
	}
	if f, err := elf.NewFile(exe); err == nil {
		p.symbols = f.Section(".debug_info") != nil || f.Section(".zdebug_info") != nil
	}
	return p
}

// bootTime is when the clock ticks of /proc/PID/stat began, as far as that can be known to a second.
func bootTime() time.Time {
	data, _ := os.ReadFile("/proc/stat")
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, "btime "); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
			return time.Unix(n, 0)
		}
	}
	return time.Time{}
}

func fileIDOf(f *os.File) (fileID, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fileID{}, err
	}
	return idOf(&st), nil
}

func idOf(st *unix.Stat_t) fileID {
	return fileID{dev: uint64(st.Dev), inode: st.Ino, modified: st.Mtim.Nano(), size: st.Size}
}

//go:build amd64

package attach

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-delve/delve/pkg/elfwriter"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/pkg/proc/native"
	"golang.org/x/sys/unix"

	"ri/arch"
)

// gcore has gdb write a core of a running target.
func gcore(t *testing.T, pid int) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "core")
	cmd := exec.Command("gcore", "-o", out, fmt.Sprint(pid))
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcore (Debian: apt install gdb): %v\n%s", err, msg)
	}
	return fmt.Sprintf("%s.%d", out, pid)
}

// dlvDump writes a core as dlv's command dump does.
func dlvDump(t *testing.T, pid int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "core")
	group, err := native.Attach(pid, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var state proc.DumpState
	state.Dumping = true
	group.Selected.Dump(elfwriter.WriteCloserSeeker(file), 0, &state)
	if state.Err != nil {
		t.Fatal(state.Err)
	}
	if err := group.Detach(false); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCore(t *testing.T) {
	for name, write := range map[string]func(*testing.T, int) string{"gcore": gcore, "dlv": dlvDump} {
		for _, flag := range []string{"-buildmode=exe", "-buildmode=pie"} {
			t.Run(name+flag, func(t *testing.T) {
				p := startCmd(t, exec.Command(build(t, "target", flag), "-threads", "3"))
				core := write(t, p.PID)
				p.goesOn()
				exe := ""
				if name == "dlv" { // its cores don't say
					exe = p.cmd.Path
					_, err := OpenCore(core, "")
					refused(t, err, ErrNoExecutable, "--exe")
				}
				target, err := OpenCore(core, exe)
				if err != nil {
					t.Fatal(err)
				}
				defer target.Close()
				live := open(t, p.PID)
				if target.PID() != p.PID || target.Entry() != live.Entry() || target.ExecutablePath() != p.cmd.Path || !strings.Contains(target.Describe(), fmt.Sprintf("of pid %d (target", p.PID)) {
					t.Error(target.PID(), target.Entry(), target.ExecutablePath(), target.Describe())
				}
				checkCore(t, p, target)
				if maps, err := target.Mappings(); err != nil || len(maps) < 5 {
					t.Error(maps, err)
				}
				_, err = OpenCore(core, "/bin/sh")
				refused(t, err, ErrNoExecutable, "--exe")
			})
		}
	}
}

func checkCore(t *testing.T, p *program, target Target) {
	t.Helper()
	v, err := target.View(context.Background(), ViewOptions{Kind: Live})
	if err != nil {
		t.Fatal(err)
	}
	if v.Kind() != Stopped || len(v.Threads()) < 3 {
		t.Error(v.Kind(), len(v.Threads()))
	}
	buf := make([]byte, p.Size)
	if n, err := v.ReadMemory(buf, p.Address); n != p.Size || err != nil {
		t.Fatal(n, err)
	}
	checkPattern(t, buf, 0)
	// All of the text, from wherever it comes.
	segments, entry, err := readExecutable(target.Executable())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range segments {
		if s.write {
			continue
		}
		got, want := make([]byte, s.fileSize), make([]byte, s.fileSize)
		target.Executable().ReadAt(want, int64(s.offset))
		if _, err := v.ReadMemory(got, s.addr+target.Entry()-entry); err != nil || !sameText(got, want, arch.AMD64.Breakpoint) {
			t.Errorf("segment %#x: %v", s.addr, err)
		}
	}
	for _, th := range v.Threads() {
		if th.ID <= 0 || th.Regs.TLS() == 0 {
			t.Errorf("%+v", th)
		}
		var b [16]byte
		if _, err := v.ReadMemory(b[:], th.Regs.SP()); err != nil {
			t.Errorf("stack of thread %d: %v", th.ID, err)
		}
		if _, err := v.ReadMemory(b[:1], th.Regs.PC()); err != nil {
			t.Errorf("pc of thread %d: %v", th.ID, err)
		}
	}
	_, err = v.ReadMemory(make([]byte, 8), 0x18)
	refused(t, err, ErrNotMapped, "0x18")
	v.Close()
	_, err = v.ReadMemory(make([]byte, 8), p.Address)
	refused(t, err, ErrClosed)
}

// TestKernelCore is a program that dies with GOTRACEBACK=crash. Where the kernel pipes cores to a program of the system, there is no file, and gcore's must do.
func TestKernelCore(t *testing.T) {
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		t.Fatal(err)
	}
	if s := strings.TrimSpace(string(pattern)); strings.ContainsAny(s, "|/") {
		p := start(t)
		target, err := OpenCore(gcore(t, p.PID), "")
		if err != nil {
			t.Fatal(err)
		}
		defer target.Close()
		checkCore(t, p, target)
		return
	}
	dir := t.TempDir()
	cmd := exec.Command("/bin/sh", "-c", "ulimit -c unlimited && exec "+build(t, "target"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
	p := startCmd(t, cmd)
	cmd.Process.Signal(unix.SIGQUIT)
	cmd.Wait()
	cores, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(cores) != 1 {
		t.Fatalf("cores: %v\n%s", cores, p.stderr.String())
	}
	target, err := OpenCore(cores[0], "")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	core := target.(*Core)
	if core.Signal() != int(unix.SIGABRT) || core.Truncated() || !core.ExecutableChecked() || core.PID() != p.PID {
		t.Errorf("signal %d, truncated %v, checked %v, pid %d", core.Signal(), core.Truncated(), core.ExecutableChecked(), core.PID())
	}
	checkCore(t, p, target)

	// Another build of the same source is another program.
	_, err = OpenCore(cores[0], build(t, "target", "-ldflags=-X main.nothing=1 -buildid=other"))
	refused(t, err, ErrNoExecutable, "--exe", "differ")
	_, err = OpenCore(cores[0], filepath.Join(dir, "nowhere"))
	refused(t, err, ErrNoExecutable, "nowhere")
	_, err = OpenCore(p.cmd.Path, "")
	refused(t, err, ErrNotSupported, "core")
	_, err = OpenCore(build(t, "target"), "")
	refused(t, err, ErrNotSupported, "is a program and not a core", "--exe")
	_, err = OpenCore(filepath.Join(dir, "nowhere"), "")
	refused(t, err, os.ErrNotExist)
	_, err = OpenCore(dir, "")
	refused(t, err, ErrNotSupported, "regular file")

	// Cut off anywhere, it opens or says why, and what is missing says so.
	info, err := os.Stat(cores[0])
	if err != nil {
		t.Fatal(err)
	}
	cut := 0
	for size := info.Size() - 1; size > 0; size = size * 3 / 4 {
		if err := os.Truncate(cores[0], size); err != nil {
			t.Fatal(err)
		}
		target, err := OpenCore(cores[0], "")
		if err != nil {
			refused(t, err, ErrNotSupported)
			continue
		}
		if !target.(*Core).Truncated() {
			t.Errorf("cut to %d bytes, and it doesn't say so", size)
		}
		v, _ := target.View(context.Background(), ViewOptions{})
		n, err := v.ReadMemory(make([]byte, p.Size), p.Address)
		if n < p.Size {
			refused(t, err, ErrNotMapped, "beyond the end of the core file, which is truncated")
			cut++
		}
		target.Close()
	}
	if cut == 0 {
		t.Error("no cut hit the pattern")
	}
}

// smallCore is a core by hand: two segments, one thread, NT_AUXV, NT_FILE.
func smallCore() []byte {
	var notes bytes.Buffer
	note := func(kind uint32, data []byte) {
		binary.Write(&notes, binary.LittleEndian, []uint32{5, uint32(len(data)), kind})
		notes.WriteString("CORE\x00\x00\x00\x00")
		notes.Write(data)
		for notes.Len()%4 != 0 {
			notes.WriteByte(0)
		}
	}
	status := make([]byte, 336)
	status[12] = 6
	binary.LittleEndian.PutUint32(status[32:], 4711)
	note(ntPrstatus, status)
	info := make([]byte, 136)
	binary.LittleEndian.PutUint32(info[24:], 4711)
	copy(info[40:], "small")
	note(ntPrpsinfo, info)
	var auxv bytes.Buffer
	binary.Write(&auxv, binary.LittleEndian, []uint64{auxEntry, 0x401000, 0, 0})
	note(ntAuxv, auxv.Bytes())
	var files bytes.Buffer
	binary.Write(&files, binary.LittleEndian, []uint64{1, 4096, 0x400000, 0x402000, 0})
	files.WriteString("/bin/small\x00")
	note(ntFile, files.Bytes())

	var out bytes.Buffer
	header := make([]byte, 64)
	copy(header, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(header[16:], 4)
	binary.LittleEndian.PutUint16(header[18:], 62)
	binary.LittleEndian.PutUint64(header[32:], 64)
	binary.LittleEndian.PutUint16(header[54:], 56)
	binary.LittleEndian.PutUint16(header[56:], 3)
	out.Write(header)
	binary.Write(&out, binary.LittleEndian, []programHeader{
		{Type: 4, Offset: 64 + 3*56, FileSize: uint64(notes.Len())},
		{Type: 1, Flags: 5, Offset: 0x1000, Vaddr: 0x400000, FileSize: 0x100, MemSize: 0x2000},
		{Type: 1, Flags: 6, Offset: 0x1100, Vaddr: 0x500000, FileSize: 0x1000, MemSize: 0x1000},
	})
	out.Write(notes.Bytes())
	out.Write(make([]byte, 0x2100-out.Len()))
	return out.Bytes()
}

func FuzzCore(f *testing.F) {
	f.Add(smallCore(), uint64(0x500ff0), uint16(64))
	f.Add(smallCore()[:0x1180], uint64(0x500000), uint16(5000))
	f.Fuzz(func(t *testing.T, data []byte, addr uint64, n uint16) {
		r := bytes.NewReader(data)
		c, err := readCore(r, int64(len(data)))
		if err != nil {
			return
		}
		m := coreMemory{core: r, size: int64(len(data)), segments: c.segments, files: c.files, truncated: c.truncated}
		if segments, _, err := readExecutable(r); err == nil {
			m.addExecutable(r, segments, addr&^0xfff)
		}
		addrs := []uint64{addr, ^uint64(0) - addr&0xffff}
		for _, s := range c.segments {
			addrs = append(addrs, s.addr, s.addr+s.memSize-1, s.addr+s.fileSize)
		}
		for _, a := range addrs {
			p := make([]byte, n)
			k, err := m.ReadMemory(p, a)
			if k < 0 || k > len(p) || (k < len(p)) != (err != nil) {
				t.Fatalf("ReadMemory(%d bytes, %#x): %d, %v", n, a, k, err)
			}
			if err != nil && !errors.Is(err, ErrNotMapped) {
				t.Fatalf("ReadMemory(%d bytes, %#x): %v", n, a, err)
			}
		}
		c.mappings()
		c.fileAt(addr)
	})
}

func TestSmallCore(t *testing.T) {
	data := smallCore()
	c, err := readCore(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if c.pid != 4711 || c.name != "small" || c.signal != 6 || c.entry != 0x401000 || len(c.threads) != 1 || c.threads[0].ID != 4711 || len(c.segments) != 2 || c.fileAt(0x401fff).Path != "/bin/small" || c.truncated {
		t.Errorf("%+v", c)
	}
	m := coreMemory{core: bytes.NewReader(data), size: int64(len(data)), segments: c.segments, files: c.files}
	_, err = m.ReadMemory(make([]byte, 8), 0x400100)
	refused(t, err, ErrNotMapped, "leaves it out", "/bin/small")
}

//go:build amd64

package process

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ri/attach"
	"ri/attach/targettest"
	"ri/symbols/testprogram"
)

// bulk takes a snapshot of everything.
func bulk(t testing.TB, p *targettest.Program, opt attach.ViewOptions) *snapshotView {
	t.Helper()
	opt.Kind, opt.Bulk, opt.MaxStop = attach.Snapshot, true, time.Minute
	v, err := open(t, p.PID).View(context.Background(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.(*snapshotView).Discard)
	return v.(*snapshotView)
}

func word(t testing.TB, m attach.Memory, addr uint64) uint64 {
	t.Helper()
	var b [8]byte
	if _, err := m.ReadMemory(b[:], addr); err != nil {
		t.Fatal(err)
	}
	return binary.LittleEndian.Uint64(b[:])
}

// checkRounds sees that a copy of -rounds is of one moment: the numbers fall by one, at one place at most.
func checkRounds(t testing.TB, v attach.View, p *targettest.Program) (round uint64) {
	t.Helper()
	falls := 0
	round = word(t, v, p.Rounds)
	last := round
	for at := 0; at < p.RoundSize; at += attach.PageSize {
		n := word(t, v, p.Rounds+uint64(at))
		if n != last {
			if falls++; falls > 1 || n+1 != last {
				t.Fatalf("page %d of %d has the number %d, and the one before %d", at/attach.PageSize,
					p.RoundSize/attach.PageSize, n, last)
			}
		}
		last = n
	}
	return round
}

// checkComes sees that a mapping which comes and goes is there whole, and gives whether it was there.
func checkComes(t testing.TB, v attach.View, p *targettest.Program, pages int) bool {
	t.Helper()
	addr, number := word(t, v, p.Comes), word(t, v, p.Comes+8)
	if addr == 0 {
		return false
	}
	for i := range pages {
		if n := word(t, v, addr+uint64(i*attach.PageSize)); n != number {
			t.Fatalf("page %d of what is mapped now has the number %d, want %d", i, n, number)
		}
	}
	return true
}

// TestBulk: all that a program may have written to is in the copy, without having been asked for, also what was mapped
// just now.
func TestBulk(t *testing.T) {
	const pages = 300
	p := targettest.Start(t, "-size", "9000000", "-rounds", "16000000", "-remap", "300", "-busy", "1")
	for _, opt := range []attach.ViewOptions{{}, {Spool: t.TempDir()}} {
		came := 0
		for n := 0; n < 6 || came == 0 && n < 600; n++ { // it is there in some looks, however busy the machine is
			v := bulk(t, p, opt)
			buf := make([]byte, p.Size)
			if _, err := v.ReadMemory(buf, p.Address); err != nil {
				t.Fatal(err)
			}
			targettest.CheckPattern(t, buf, 0)
			if direct := v.Direct(p.Address, p.Size); !bytes.Equal(direct, buf) {
				t.Error("the copy gives other bytes without copying")
			}
			checkRounds(t, v, p)
			if checkComes(t, v, p, pages) {
				came++
			}
			if missed := v.Coverage().Missed; len(missed) > 0 {
				t.Errorf("%d pages were missed: %#x", len(missed), missed[0]*attach.PageSize)
			}
			if !v.Coverage().Whole || len(v.Threads()) == 0 {
				t.Error("not all is there")
			}
			v.Discard()
		}
		if came == 0 {
			t.Error("what comes and goes was never there")
		}
	}
	p.GoesOn()
}

// TestBulkReads compares a copy with what the process's own memory says, mapping by mapping, while it stands still.
func TestBulkReads(t *testing.T) {
	p := targettest.Start(t, "-threads", "3")
	p.Cmd.Process.Signal(syscall.SIGSTOP)
	for stateOf(t, p.PID) != 'T' {
	}
	v := bulk(t, p, attach.ViewOptions{})
	maps, err := open(t, p.PID).Mappings()
	if err != nil {
		t.Fatal(err)
	}
	live := open(t, p.PID).memory()
	compared := 0
	for _, m := range maps {
		if !m.Read || !m.Write || m.Shared || m.End-m.Start > 128<<20 {
			continue
		}
		want, got := make([]byte, m.End-m.Start), make([]byte, m.End-m.Start)
		n, _ := live.ReadMemory(want, m.Start)
		k, err := v.ReadMemory(got, m.Start)
		if k < n || !bytes.Equal(got[:n], want[:n]) {
			t.Errorf("%x-%x %s: %d bytes, want %d, or others (%v)", m.Start, m.End, m.Path, k, n, err)
		}
		compared += n
	}
	if compared < p.Size || len(v.Coverage().Missed) > 0 {
		t.Errorf("%d bytes compared, %d pages missed", compared, len(v.Coverage().Missed))
	}
	// Through the cache nothing is copied again.
	c := attach.NewCache(v)
	if b, err := c.Slice(p.Address, p.Size); err != nil || len(b) != p.Size || &b[0] != &v.Direct(p.Address, 1)[0] {
		t.Error("a slice is not of the copy itself", err)
	}
	for i := range p.Size {
		if b, err := c.Uint8(p.Address + uint64(i)); err != nil || b != targettest.PatternByte(i) {
			t.Fatal(i, b, err)
		}
	}
	if got := c.Stats().BytesRead; got > 2*64<<10 {
		t.Errorf("the cache copied %d bytes", got)
	}
	p.Cmd.Process.Signal(syscall.SIGCONT)
}

// TestBulkLimit: a copy that would take longer than the stop may is given up in time.
func TestBulkLimit(t *testing.T) {
	p := targettest.Start(t, "-size", "200000000")
	target := open(t, p.PID)
	_, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Snapshot, Bulk: true,
		MaxStop: 2 * time.Millisecond})
	if !errors.Is(err, attach.ErrDeadline) {
		t.Error(err)
	}
	p.GoesOn()
	cost, err := target.SnapshotCost(attach.ViewOptions{Kind: attach.Snapshot, Bulk: true})
	if err != nil || cost.Bytes < 200_000_000 || cost.Bytes > 400_000_000 || cost.Stop < 5*time.Millisecond ||
		cost.Stop > 2*time.Second {
		t.Errorf("%+v %v", cost, err)
	}
}

func TestSpool(t *testing.T) {
	if _, err := newImage("/proc/nowhere"); err == nil || !strings.Contains(err.Error(), "--spool") {
		t.Error(err)
	}
	folder := t.TempDir()
	im, err := newImage(folder)
	if errors.Is(err, attach.ErrNotSupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer im.free()
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

func TestImage(t *testing.T) {
	im := &image{}
	defer im.free()
	for _, r := range [][]span{{{start: 0x40000000, end: 0x40100000}}, {{start: 0x10000000, end: 0x10001000},
		{start: 0x20000000, end: 0x20800000}}} {
		if err := im.reserve(r); err != nil {
			t.Fatal(err)
		}
	}
	if got := im.lacking([]span{{start: 0x0ffff000, end: 0x20001000}}); len(got) != 2 ||
		got[0] != (span{start: 0x0ffff000, end: 0x10000000}) || got[1] != (span{start: 0x10001000, end: 0x20000000}) {
		t.Errorf("%+v", got)
	}
	copy(im.bytes(0x20000ffe, 4), "ri!!")
	im.unreadable = []span{{start: 0x20002000, end: 0x20003000}}
	im.keep([]span{{start: 0x20000000, end: 0x20400000}, {start: 0x40080000, end: 0x50000000}})
	var b [attach.PageSize]byte
	for _, c := range []struct {
		addr uint64
		n    int
		ok   bool
	}{{0x10000000, 0, false}, {0x20000ffe, attach.PageSize, true}, {0x20001fff, 1, true}, {0x20002000, 0, true},
		{0x20400000, 0, false}, {0x203fffff, 1, true}, {0x40080000, attach.PageSize, true}, {0x4007ffff, 0, false}} {
		if n, ok := im.read(b[:], c.addr); n != c.n || ok != c.ok {
			t.Errorf("%#x: %d %v, want %d %v", c.addr, n, ok, c.n, c.ok)
		}
	}
	if string(im.direct(0x20000ffe, 4)) != "ri!!" || im.direct(0x20001ffe, 4) != nil ||
		im.direct(0x203ffffe, 4) != nil {
		t.Error("what is given without a copy")
	}
}

// TestManyMappings: what a stop costs grows with the number of mappings, not with its square, and the kernel isn't
// asked for each of them.
func TestManyMappings(t *testing.T) {
	const pages = 40_000
	p := targettest.Start(t, "-mappings", strconv.Itoa(pages))
	target := open(t, p.PID)
	b, err := newBulkCopy(context.Background(), target, "")
	if err != nil {
		t.Fatal(err)
	}
	defer b.image.free()
	defer b.close()
	if n := len(b.maps.mapped); n < pages/2 {
		t.Fatalf("%d mappings", n)
	}
	if n := len(b.image.maps); n > 100 {
		t.Errorf("the copy is made in %d pieces of address space", n)
	}
	if n := len(b.image.ranges); n < pages/2 {
		t.Errorf("the copy has %d ranges", n)
	}
	scans := b.residency.Calls
	if err := b.look(); err != nil {
		t.Fatal(err)
	}
	if err := b.find(); err != nil {
		t.Fatal(err)
	}
	if n := b.residency.Calls - scans; n > 100 {
		t.Errorf("the kernel was asked %d times what is there", n)
	}

	v := bulk(t, p, attach.ViewOptions{})
	want := make([]byte, p.Size)
	if _, err := target.memory().ReadMemory(want, p.Address); err != nil {
		t.Fatal(err)
	}
	targettest.CheckPattern(t, want, 0)
	for at := 0; at < p.Size; at += 2 * attach.PageSize {
		if !bytes.Equal(v.Direct(p.Address+uint64(at), attach.PageSize), want[at:][:attach.PageSize]) {
			t.Fatalf("page %d is another in the copy", at/attach.PageSize)
		}
	}
	if n := v.Coverage().Missed; len(n) > 0 {
		t.Errorf("%d pages were missed", len(n))
	}
	p.GoesOn()
}

// TestSpansAreLinear: lists as long as this one take hours where each of one is compared with each of another.
func TestSpansAreLinear(t *testing.T) {
	const n = 1_000_000
	var spans []span
	im := &image{}
	defer im.free()
	for i := range uint64(n) {
		spans = append(spans, span{start: (4*i + 1) * attach.PageSize, end: (4*i + 3) * attach.PageSize})
	}
	if err := im.reserve(spans); err != nil {
		t.Fatal(err)
	}
	if len(im.lacking(spans)) > 0 || len(im.ranges) != n {
		t.Errorf("%d ranges", len(im.ranges))
	}
	for i := range spans {
		spans[i].start += attach.PageSize
		spans[i].end += attach.PageSize
	}
	if gaps := im.lacking(spans); len(gaps) != n || gaps[1] != (span{start: 7 * attach.PageSize,
		end: 8 * attach.PageSize}) {
		t.Errorf("%d gaps", len(gaps))
	}
	im.keep(spans)
	if len(im.ranges) != n || im.ranges[1].start != 6*attach.PageSize || im.ranges[1].end != 7*attach.PageSize {
		t.Errorf("%d ranges were kept", len(im.ranges))
	}
}

// TestNear: what is alike and close together is one question.
func TestNear(t *testing.T) {
	const far = 0x10000 + spansApart
	spans := []span{{0x1000, 0x2000, false}, {0x3000, 0x10000, false}, {far, far + 0x1000, false}, {far + 0x1000,
		far + 0x2000, true}}
	for _, want := range []int{2, 1, 1} {
		got := near(spans)
		if got != want {
			t.Errorf("%v: %d, want %d", spans, got, want)
		}
		spans = spans[got:]
	}
	if len(spans) > 0 {
		t.Errorf("%v are left", spans)
	}
}

// startBench runs the benchmark's target with a heap that changes.
func startBench(t testing.TB, args ...string) int {
	t.Helper()
	cmd := exec.Command(targettest.Build(t, "../../bench/target"), args...)
	testprogram.Ready(t, cmd)
	return cmd.Process.Pid
}

// BenchmarkBulk copies a heap that changes by 200 MB/s.
func BenchmarkBulk(b *testing.B) {
	for _, size := range []string{"300000000", "1000000000"} {
		b.Run(size, func(b *testing.B) {
			target := open(b, startBench(b, "-heap", size, "-change", "200000000"))
			for b.Loop() {
				v, err := target.View(context.Background(), attach.ViewOptions{Kind: attach.Snapshot, Bulk: true,
					MaxStop: time.Minute})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(v.Stats().Stopped.Seconds()*1e3, "ms-stopped")
				v.(*snapshotView).Discard()
			}
		})
	}
}

// TestBulkUnmapped has what wasn't mapped in the stop be no reason for another copy: it would not have it either.
func TestBulkUnmapped(t *testing.T) {
	p := targettest.Start(t)
	v := bulk(t, p, attach.ViewOptions{})
	end := v.image.mappings[len(v.image.mappings)-1].End
	for _, addr := range []uint64{8, attach.PageSize, end, 1 << 56, 0x8b4d10ec8348e008, math.MaxUint64 - 7} {
		var b [8]byte
		if _, err := v.ReadMemory(b[:], addr); !errors.Is(err, attach.ErrNotMapped) {
			t.Errorf("reading %#x: %v", addr, err)
		}
	}
	if missed := v.Coverage().Missed; len(missed) > 0 {
		t.Errorf("pages %#x are missed", missed)
	}
}

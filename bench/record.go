//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// recordOutcome is what ri record --json says, and what it cost.
type recordOutcome struct {
	*outcome
	path    string
	felt    time.Duration // the longest gap in the target
	Bytes   int64         // of the file
	Stopped float64       // seconds, as ri says
	Read    float64       // the copy
}

// record makes a recording; the file is the caller's.
func (b *bench) record(ctx context.Context, p *process, args ...string) (r *recordOutcome, err error) {
	r = &recordOutcome{path: filepath.Join(b.scripts, "recording")}
	if err := os.RemoveAll(r.path); err != nil {
		return nil, err
	}
	args = append([]string{"record", "-p", strconv.Itoa(p.pid), "-o", r.path, "--json", "--max-stop", "20s"},
		args...)
	r.felt, err = p.felt(func() (err error) {
		r.outcome, err = tool(ctx, "", "", []string{"XDG_CACHE_HOME=" + b.cache}, b.ri, args...)
		return err
	})
	if err == nil {
		err = r.read()
	}
	return r, err
}

// read takes what ri said.
func (r *recordOutcome) read() error {
	var said struct {
		Read float64 `json:"read_bytes"`
		Rows []struct {
			Size    int64         `json:"size_bytes"`
			Stopped time.Duration `json:"stopped_ns"`
		}
	}
	if err := json.Unmarshal([]byte(r.stdout), &said); err != nil {
		return err
	}
	if len(said.Rows) != 1 {
		return fmt.Errorf("ri record said %d rows: %s", len(said.Rows), r.stdout)
	}
	r.Bytes, r.Stopped, r.Read = said.Rows[0].Size, said.Rows[0].Stopped.Seconds(), said.Read
	return nil
}

// recordedLook is what it costs to record beside a run: of 100 k goroutines, of which all is kept.
func recordedLook(ctx context.Context, b *bench) ([]row, error) {
	p, err := b.startTarget("-goroutines", "100000")
	if err != nil {
		return nil, err
	}
	defer p.kill()
	stop := row{name: "ri record of 100 k goroutines: its stop, of that of the same run", unit: times}
	whole := row{name: "the same: the whole", unit: times, must: 1.2}
	cpu := row{name: "the same: time of CPUs", unit: times}
	run := row{}
	err = b.side(ctx, nil, func() error {
		o, err := b.lookStop(ctx, p, &run, "run", "goroutines", "-p", strconv.Itoa(p.pid), "--max-stop", "20s")
		if err != nil {
			return err
		}
		r, err := b.record(ctx, p, "goroutines")
		if err != nil {
			return err
		}
		stop.ri.add(r.Stopped / o.stop.Seconds())
		stop.own.addTime(time.Duration(r.Stopped * float64(time.Second)))
		whole.ri.add(r.took.Seconds() / o.took.Seconds())
		whole.whole.addTime(r.took)
		cpu.ri.add(r.cpu.Seconds() / o.cpu.Seconds())
		return nil
	})
	stop.note = fmt.Sprintf("as ri says; the runs without record stopped it for %s.", seconds.spread(run.own))
	whole.note = fmt.Sprintf("the runs without record took %s; each ratio is of two commands one after the other.",
		seconds.spread(run.whole))
	return []row{stop, whole, cpu}, err
}

// bytesOfSeries is about what one of the target's time series takes.
const bytesOfSeries = 1950

// recordedHeap records a heap of small objects, as they are in a server, beside what else writes memory down: a core by
// gcore and by dlv, and zstd -1 over a core.
func recordedHeap(ctx context.Context, b *bench) ([]row, error) {
	p, err := b.startTarget("-series", strconv.Itoa(b.heap/bytesOfSeries))
	if err != nil {
		return nil, err
	}
	defer p.kill()
	size := fmt.Sprintf("%.2g GB", float64(b.heap)/1e9)
	zstd := row{name: "ri record --heap of " + size + " of objects: time, of zstd -1 over a core", unit: times, must: 2}
	cpu := row{name: "the same: time of CPUs", unit: times}
	took := row{name: "the same: time, beside dlv dump"}
	stop := row{name: "the same: stop, beside dlv dump"}
	gcore := row{name: "gcore of it: time, and stop in the last column but one"}
	file := row{name: "the same: bytes of the recording, beside the core by zstd -1", unit: bytesOf}
	memory := row{name: "the same: memory beyond the copy", unit: bytesOf, must: 300 * megabyte}
	open := row{name: "ri run goroutines -r of it", must: 1 * second}
	openMemory := row{name: "the same: memory", unit: bytesOf, must: 150 * megabyte}
	dump, packed := filepath.Join(b.scripts, "dump"), filepath.Join(b.scripts, "dump.zst")
	zstdPath, err := exec.LookPath("zstd")
	if err != nil {
		return nil, err
	}
	err = b.side(ctx, func() error {
		defer os.Remove(dump)
		o, err := peerStop(p, &stop.dlv, func() (*outcome, error) { return b.runDlv(ctx, p.pid, "", "dump "+dump) })
		if err != nil {
			return err
		}
		took.dlv.addTime(o.took)
		path, err := exec.LookPath("gcore")
		if err != nil {
			return nil // there is none
		}
		defer os.Remove(dump + "." + strconv.Itoa(p.pid))
		gap, err := p.felt(func() (err error) {
			o, err = tool(ctx, "", "", nil, path, "-o", dump, strconv.Itoa(p.pid))
			return err
		})
		if err == nil {
			gcore.gdb.addTime(o.took)
			gcore.idle.addTime(gap)
		}
		return err
	}, func() error {
		defer os.Remove(dump)
		defer os.Remove(packed)
		if _, err := tool(ctx, "", "", []string{"XDG_CACHE_HOME=" + b.cache}, b.ri, "core", "-p", strconv.Itoa(p.pid), "-o",
			dump, "--max-stop", "20s", "--precopy=false"); err != nil {
			return err
		}
		z, err := tool(ctx, "", "", nil, zstdPath, "-q", "-1", dump, "-o", packed)
		if err != nil {
			return err
		}
		r, err := b.record(ctx, p, "--heap", "--precopy=false", "goroutines")
		if err != nil {
			return err
		}
		info, err := os.Stat(packed)
		if err != nil {
			return err
		}
		zstd.ri.add(r.took.Seconds() / z.took.Seconds())
		zstd.note = fmt.Sprintf("zstd took %.2f s (%.2f s of CPUs), over %.0f MB.", z.took.Seconds(), z.cpu.Seconds(),
			r.Read/megabyte)
		cpu.ri.add(r.cpu.Seconds() / z.cpu.Seconds())
		took.ri.addTime(r.took)
		stop.ri.addTime(r.felt)
		stop.own.addTime(time.Duration(r.Stopped * float64(time.Second)))
		file.ri.add(float64(r.Bytes))
		file.dlv.add(float64(info.Size()))
		memory.ri.add(float64(r.memory) - r.Read)
		o, err := tool(ctx, "", "", []string{"XDG_CACHE_HOME=" + b.cache}, b.ri, "run", "goroutines", "-r", r.path)
		if err != nil {
			return err
		}
		open.ri.addTime(o.took)
		openMemory.ri.add(float64(o.memory))
		return nil
	})
	file.note = "the column of dlv has zstd's."
	return []row{zstd, cpu, took, stop, gcore, file, memory, open, openMemory}, err
}

// recordedResident records all of a large process with --precopy.
func recordedResident(ctx context.Context, b *bench) ([]row, error) {
	p, err := b.startTarget("-heap", strconv.Itoa(b.resident), "-change", strconv.Itoa(200e6))
	if err != nil {
		return nil, err
	}
	defer p.kill()
	size := fmt.Sprintf("%.2g GB", float64(b.resident)/1e9)
	stop := row{name: "ri record --heap --precopy of " + size + " resident: stop", must: 20 * millisecond}
	zstd := row{name: "the same: time, of zstd -1 over a core", unit: times, must: 2}
	memory := row{name: "the same: memory beyond the copy", unit: bytesOf, must: 300 * megabyte}
	dump, packed := filepath.Join(b.scripts, "dump"), filepath.Join(b.scripts, "dump.zst")
	for range min(b.runs, 3) {
		r, err := b.record(ctx, p, "--heap", "--precopy", "goroutines")
		if err != nil {
			return nil, err
		}
		stop.ri.addTime(r.felt)
		stop.own.addTime(time.Duration(r.Stopped * float64(time.Second)))
		stop.whole.addTime(r.took)
		memory.ri.add(float64(r.memory) - r.Read)
		if _, err := tool(ctx, "", "", []string{"XDG_CACHE_HOME=" + b.cache}, b.ri, "core", "-p", strconv.Itoa(p.pid), "-o",
			dump, "--max-stop", "20s"); err != nil {
			return nil, err
		}
		z, err := tool(ctx, "", "", nil, "zstd", "-q", "-1", dump, "-o", packed)
		os.Remove(dump)
		os.Remove(packed)
		if err != nil {
			return nil, err
		}
		zstd.ri.add(r.took.Seconds() / z.took.Seconds())
		zstd.note = fmt.Sprintf("blocks of 1 MB, nearly all of them zeros; zstd took %.2f s.", z.took.Seconds())
	}
	return []row{stop, zstd, memory}, b.idle(p, &stop)
}

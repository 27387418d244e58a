//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dataCalls is what a read or a write costs the thread that makes it, in its own CPU time, more than with nobody there:
// recorded by ri record streams, and beside tcpdump -w.
func dataCalls(ctx context.Context, b *bench) ([]row, error) {
	p, err := b.startTarget()
	if err != nil {
		return nil, err
	}
	defer p.kill()
	var rows []row
	for _, size := range []struct {
		name  string
		bytes int
		calls int
		must  float64
	}{{"1 KB", 1000, 10_000, 2e-6}, {"64 KiB", 64 << 10, 2_000, 50e-6}} {
		measure := func() (float64, error) {
			n, err := p.ask(fmt.Sprintf("data %d %d", size.calls, size.bytes))
			if err != nil {
				return 0, err
			}
			return float64(n[0]) / 1e9 / float64(2*size.calls), nil
		}
		recorded := row{name: "a data call of " + size.name + ", recorded with its bytes: more than with nobody",
			must: size.must}
		dumped := row{name: "the same beside tcpdump -w"}
		for range b.runs {
			for _, tool := range []struct {
				row  *row
				args []string
				says string
			}{{&recorded, []string{b.ri, "record", "streams", "-p", strconv.Itoa(p.pid), "-o",
				filepath.Join(b.scripts, "streams"), "--payload", "--sent", "--no-random"}, "Ctrl-C"},
				{&dumped, []string{"tcpdump", "-i", "lo", "-s", "0", "-w", filepath.Join(b.scripts, "dump"), "tcp"},
					"listening on"},
			} {
				if _, err := exec.LookPath(tool.args[0]); err != nil || tool.row == &dumped && b.noPeers {
					continue
				}
				before, err := measure()
				if err != nil {
					return nil, err
				}
				os.Remove(filepath.Join(b.scripts, "streams"))
				var cost float64
				if err := while(ctx, tool.args, tool.says, func() (err error) {
					cost, err = measure()
					return err
				}); err != nil {
					return nil, err
				}
				after, err := measure()
				if err != nil {
					return nil, err
				}
				tool.row.ri.add(cost - (before+after)/2)
			}
		}
		rows = append(rows, recorded, dumped)
	}
	return rows, nil
}

// while runs a tool, does something once it says that it is ready, and interrupts it then.
func while(ctx context.Context, args []string, ready string, do func() error) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	says, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = waitFor(says, ready)
	if err == nil {
		go io.Copy(io.Discard, says)
		err = do()
	}
	cmd.Process.Signal(os.Interrupt)
	if waited := cmd.Wait(); err == nil {
		err = waited
	}
	return err
}

// requests is how many are made for the replay that is measured.
const requests = 2000

// replayed is how long it takes to replay a server that answered one request after the other, of how long it took live.
func replayed(ctx context.Context, b *bench) ([]row, error) {
	whole := row{name: "ri replay of 2,000 requests, one after the other: of the time that they took live", unit: times,
		must: 3}
	same := row{name: "the same: outputs that differ, are missing or too many", unit: times,
		note: "their number; 0 is all equal."}
	file := filepath.Join(b.scripts, "http")
	for range b.runs {
		live, err := b.serve(ctx, nil)
		if err != nil {
			return nil, err
		}
		os.Remove(file)
		if _, err := b.serve(ctx, []string{b.ri, "record", "streams", "-o", file, "--payload", "--sent", "--"}); err != nil {
			return nil, err
		}
		o, err := tool(ctx, "", "", nil, b.ri, "replay", file, "--json")
		if err != nil {
			return nil, err
		}
		var said struct {
			Rows []struct {
				Took                          float64 `json:"took_ms"`
				Differing, Missing, Unmatched int
			}
		}
		if err := json.Unmarshal([]byte(o.stdout), &said); err != nil || len(said.Rows) != 1 {
			return nil, fmt.Errorf("ri replay says %q (%v)", o.stdout, err)
		}
		r := said.Rows[0]
		whole.ri.add(r.Took / 1000 / live.Seconds())
		whole.whole.addTime(live)
		same.ri.add(float64(r.Differing + r.Missing + r.Unmatched))
	}
	whole.note = "the whole command's column is the time live."
	return []row{whole, same}, nil
}

// serve runs the target as a server, by itself or by what starts it, and gives how long the requests took.
func (b *bench) serve(ctx context.Context, by []string) (took time.Duration, err error) {
	args := append(append([]string{}, by...), b.target, "-http")
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	read, write, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer read.Close()
	cmd.Stdout, cmd.Stderr = write, write
	err = cmd.Start()
	write.Close()
	if err != nil {
		return 0, err
	}
	address := ""
	lines := bufio.NewScanner(read)
	for address == "" && lines.Scan() {
		_, address, _ = strings.Cut(lines.Text(), "listening at ")
	}
	go io.Copy(io.Discard, read)
	if address == "" {
		cmd.Wait()
		return 0, fmt.Errorf("the target doesn't serve: %s", lines.Text())
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	began := time.Now()
	for i := range requests {
		resp, err := client.Post("http://"+address+"/", "text/plain", strings.NewReader(fmt.Sprint("request ", i)))
		if err != nil {
			return 0, err
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	took = time.Since(began)
	client.CloseIdleConnections()
	signal := syscall.SIGTERM
	if len(by) > 0 {
		signal = syscall.SIGINT
	}
	cmd.Process.Signal(signal)
	return took, cmd.Wait()
}

//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is what is looked at.
type process struct {
	pid int
	cmd *exec.Cmd

	in     io.WriteCloser // of our own target
	out    *bufio.Scanner
	folder string // to remove, if not ""
}

// startTarget starts our own target and waits until it stands. It ends when its standard input does.
func (b *bench) startTarget(args ...string) (*process, error) {
	cmd := exec.Command(b.target, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{pid: cmd.Process.Pid, cmd: cmd, in: in, out: bufio.NewScanner(out)}
	if !p.out.Scan() || p.out.Text() != "ready" {
		p.kill()
		return nil, fmt.Errorf("the target %s did not start", strings.Join(args, " "))
	}
	return p, nil
}

// startPrometheus starts Prometheus on a port of its own on loopback, scraping itself.
func (b *bench) startPrometheus(ctx context.Context) (*process, error) {
	path, err := b.prometheus(ctx)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	listener.Close()
	folder, err := os.MkdirTemp("", "ri-bench-data")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(folder, "prometheus.yml")
	text := "global: {scrape_interval: 1s}\nscrape_configs: [{job_name: self, static_configs: [{targets: ['" + address +
		"']}]}]\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(folder, "data"),
		"--web.listen-address="+address, "--log.level=error")
	cmd.Dir = folder
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{pid: cmd.Process.Pid, cmd: cmd, folder: folder}
	for began := time.Now(); time.Since(began) < time.Minute && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		if resp, err := http.Get("http://" + address + "/-/ready"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				time.Sleep(2 * time.Second) // some scrapes
				return p, nil
			}
		}
	}
	p.kill()
	return nil, errors.New("prometheus was not ready within a minute")
}

func (p *process) kill() {
	if p.in != nil {
		p.in.Close()
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
	if p.folder != "" {
		os.RemoveAll(p.folder)
	}
}

// gap asks our target how long it stood still at most since it was asked last.
func (p *process) gap() (time.Duration, error) {
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		return 0, err
	}
	if !p.out.Scan() {
		return 0, errors.New("the target has gone")
	}
	ns, err := strconv.ParseInt(p.out.Text(), 10, 64)
	return time.Duration(ns), err
}

// threads counts the operating system threads.
func (p *process) threads() int {
	list, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.pid))
	return len(list)
}

// felt measures the longest stop that p felt while f ran, from its side or, where it isn't ours, from outside.
func (p *process) felt(f func() error) (time.Duration, error) {
	if p.in != nil {
		if _, err := p.gap(); err != nil {
			return 0, err
		}
		if err := f(); err != nil {
			return 0, err
		}
		return p.gap()
	}
	w, err := watch(p.pid)
	if err != nil {
		return 0, err
	}
	err = f()
	return w.end(), err
}

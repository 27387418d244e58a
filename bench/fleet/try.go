//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"ri/fleet"
	"ri/ovsdb/client"
	"ri/ovsdb/wire"
	"ri/serve/pki"
	"ri/serve/request"
)

// try measures one fleet.
func (b *bench) try(ctx context.Context, folder string, t trial) (*result, error) {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, err
	}
	p := &processes{folder: folder}
	defer p.end()
	place, served, err := p.serve(ctx, b, t.engine)
	if err != nil {
		return nil, err
	}
	r := &result{trial: t}
	simulated := []string{"fleet", "simulate", "--db", place, "-n", strconv.Itoa(t.agents)}
	asked := []string{"fleet", "run", "goroutines", "--ndjson", "--db", place}
	if t.rows > 1 {
		path := filepath.Join(folder, "rows")
		if err := os.WriteFile(path, []byte(strings.Repeat(row+"\n", t.rows)), 0o600); err != nil {
			return nil, err
		}
		simulated = append(simulated, "--rows", path)
	}
	if t.tls || t.uncalled {
		own, err := authority(folder)
		if err != nil {
			return nil, err
		}
		simulated, asked = append(simulated, "--pki", filepath.Join(folder, "pki")), append(asked, "--tls", own)
	}
	if t.uncalled {
		simulated = append(simulated, "--uncalled")
	}
	if t.real > 0 {
		pids, err := p.targets(ctx, t.real)
		if err != nil {
			return nil, err
		}
		simulated = append(simulated, "--real", pids)
	}
	began := time.Now()
	agents, err := p.start(b.ri, simulated...)
	if err != nil {
		return nil, err
	}
	methods, err := registered(ctx, place, t.agents)
	if err != nil {
		return nil, fmt.Errorf("%w; the agents said: %s", err, p.said(len(p.all)-1))
	}
	r.registered = time.Since(began)
	for range b.runs {
		if err := b.ask(ctx, r, asked, served, agents); err != nil {
			return nil, err
		}
		if t.tls || t.uncalled || t.real > 0 {
			continue
		}
		took, err := callAll(ctx, methods)
		if err != nil {
			return nil, fmt.Errorf("called alone: %w", err)
		}
		r.bare = append(r.bare, took)
	}
	for _, s := range served {
		r.memory += mostResident(s.Process.Pid)
	}
	return r, nil
}

// row is what recipes' rows are like.
const row = `{"state":"waiting","reason":"chan receive","count":12,"func":"example.com/simulated.(*Store).loop",` +
	`"created_by":"example.com/simulated/store.New","for":90000000000}`

// said is what a process has written.
func (p *processes) said(n int) string {
	text, _ := os.ReadFile(filepath.Join(p.folder, fmt.Sprintf("log%d", n)))
	return string(bytes.TrimSpace(text))
}

// authority makes one in a folder, and who asks, and gives the file of that.
func authority(folder string) (string, error) {
	dir, own := filepath.Join(folder, "pki"), filepath.Join(folder, "own.pem")
	if err := pki.Init(dir, "bench"); err != nil {
		return "", err
	}
	a, err := pki.Open(dir)
	if err != nil {
		return "", err
	}
	text, err := a.Issue(pki.Wish{Name: "bench", Kind: "operator", Life: 24 * time.Hour})
	if err != nil {
		return "", err
	}
	return own, os.WriteFile(own, text, 0o600)
}

// targets starts Go processes, and gives their numbers.
func (p *processes) targets(ctx context.Context, n int) (string, error) {
	path := filepath.Join(p.folder, "target")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "./bench/target").CombinedOutput(); err != nil {
		return "", fmt.Errorf("the target can't be built: %w\n%s", err, out)
	}
	var pids []string
	for range n {
		cmd, err := p.start(path, "-http")
		if err != nil {
			return "", err
		}
		pids = append(pids, strconv.Itoa(cmd.Process.Pid))
	}
	for n := range p.all { // until each is a Go program that runs
		for len(pids) > 0 && p.all[n].Process != nil {
			exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.all[n].Process.Pid))
			if err != nil || !strings.HasSuffix(exe, "sh") && !strings.HasSuffix(exe, "busybox") {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	return strings.Join(pids, ","), nil
}

// registered waits until so many agents tell of a target each, and gives how they are called.
func registered(ctx context.Context, place string, agents int) ([]string, error) {
	db, err := fleet.ParseDatabase(place)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeoutCause(ctx, longest, errors.New("not all have registered"))
	defer stop()
	c, err := db.Open(ctx, nil)
	if err != nil {
		return nil, err
	}
	m, err := c.Monitor(ctx, map[string]client.Watch{"Host": {Columns: []string{"methods"}},
		"Target": {Columns: []string{"id"}}})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	for len(m.Rows("Target")) < agents {
		if _, err := m.Next(ctx); err != nil {
			return nil, fmt.Errorf("%d of %d are there: %w", len(m.Rows("Target")), agents, err)
		}
	}
	var methods []string
	for _, h := range m.Rows("Host") {
		methods = append(methods, fleet.List(h["methods"])...)
	}
	return methods, nil
}

// longest is how long agents may take to register.
const longest = 10 * time.Minute

// ask asks all once, as a person would.
func (b *bench) ask(ctx context.Context, r *result, args []string, served []*exec.Cmd, agents *exec.Cmd) error {
	before := [2]time.Duration{}
	for _, s := range served {
		before[0] += used(s.Process.Pid)
	}
	before[1] = used(agents.Process.Pid)
	cmd := exec.CommandContext(ctx, b.ri, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	first, last := time.Duration(0), ""
	for in := bufio.NewReader(out); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			break
		}
		if last = line; first == 0 {
			first = time.Since(began)
		}
	}
	if err := cmd.Wait(); err != nil && len(last) == 0 {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	took := time.Since(began)
	var end struct {
		Totals struct{ Targets, Answered int } `json:"$totals"`
	}
	if err := json.Unmarshal([]byte(last), &end); err != nil || end.Totals.Targets == 0 {
		return fmt.Errorf("a run ended without totals: %q; %s", last, said.String())
	}
	r.took, r.first = append(r.took, took), append(r.first, first)
	r.answered = append(r.answered, end.Totals.Answered)
	r.cpu = [3]time.Duration{cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), -before[0],
		used(agents.Process.Pid) - before[1]}
	for _, s := range served {
		r.cpu[1] += used(s.Process.Pid)
	}
	return nil
}

// used is the CPU time of a process, its children and what it has waited for.
func used(pid int) time.Duration {
	sum := time.Duration(0)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	for _, f := range fields[11:15] { // utime, stime, and those of children
		n, _ := strconv.Atoi(f)
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, path := range threads {
		children, _ := os.ReadFile(path)
		for _, c := range strings.Fields(string(children)) {
			if n, err := strconv.Atoi(c); err == nil {
				sum += used(n)
			}
		}
	}
	return sum
}

// mostResident is the most memory that a process has had, in MB.
func mostResident(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	kib, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, _ := strconv.Atoi(kib)
	return n / 1000
}

// callAll calls all agents, as many at once as a run does, asks each what a run asks, and does nothing else.
func callAll(ctx context.Context, methods []string) (time.Duration, error) {
	began := time.Now()
	next := make(chan string)
	failed := make(chan error, fleet.DefaultAtOnce)
	var all sync.WaitGroup
	for range fleet.DefaultAtOnce {
		all.Go(func() {
			for at := range next {
				if err := call(ctx, strings.TrimPrefix(at, "unix:")); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	for _, at := range methods {
		next <- at
	}
	close(next)
	all.Wait()
	close(failed)
	return time.Since(began), <-failed
}

func call(ctx context.Context, socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	peer := wire.NewPeer(conn, request.MaxMessage)
	go func() {
		for {
			r, err := peer.Next()
			if err != nil {
				return
			}
			_ = r.Reply(nil) // it has been written
		}
	}()
	if _, err := peer.Call(ctx, request.Hello, request.Greeting{Protocol: request.Protocol}); err != nil {
		return err
	}
	_, err = peer.Call(ctx, request.Run, "1", request.Request{Command: []string{"run"}, Args: []string{"goroutines"}})
	return err
}

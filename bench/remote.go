//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ri/serve/client"
	"ri/serve/method"
	"ri/serve/pki"
	"ri/serve/request"
)

// agent starts ri serve, and waits until it says something.
func (b *bench) agent(says string, args ...string) (*exec.Cmd, error) {
	cmd := exec.Command(b.ri, args...)
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+b.cache, "XDG_STATE_HOME="+b.scripts)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said := filepath.Join(b.scripts, "said")
	out, err := os.Create(said)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for range 1000 {
		text, err := os.ReadFile(said)
		if err != nil {
			return nil, err
		}
		if strings.Contains(string(text), says) {
			return cmd, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	end(cmd)
	text, _ := os.ReadFile(said)
	return nil, fmt.Errorf("ri %s doesn't say %q: %s", strings.Join(args, " "), says, text)
}

func end(cmd *exec.Cmd) {
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()
}

// identities are those of a site: of its agent, and of who asks.
func (b *bench) identities() (agent, asker string, err error) {
	folder := filepath.Join(b.scripts, "pki")
	if err := pki.Init(folder, "bench"); err != nil {
		return "", "", err
	}
	authority, err := pki.Open(folder)
	if err != nil {
		return "", "", err
	}
	for _, one := range []struct {
		path *string
		wish pki.Wish
	}{
		{&agent, pki.Wish{Name: "here", Kind: pki.Agent, Hosts: []string{"127.0.0.1"}, Life: time.Hour}},
		{&asker, pki.Wish{Name: "bench", Kind: "author", Life: time.Hour}},
	} {
		text, err := authority.Issue(one.wish)
		if err != nil {
			return "", "", err
		}
		*one.path = filepath.Join(b.scripts, one.wish.Name+".pem")
		if err := os.WriteFile(*one.path, text, 0o600); err != nil {
			return "", "", err
		}
	}
	return agent, asker, nil
}

// remoteRecipe is a recipe over an open TLS connection, beside the command here.
func remoteRecipe(ctx context.Context, b *bench) (rows []row, err error) {
	p, err := b.startTarget("-goroutines", "1000")
	if err != nil {
		return nil, err
	}
	defer p.kill()
	own, asker, err := b.identities()
	if err != nil {
		return nil, err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	served, err := b.agent("listening at", "serve", "--folder", filepath.Join(b.scripts, "agent"), "--tls", own,
		"--remote", fmt.Sprintf("pssl:%d:127.0.0.1", port), "--stop-budget", "0")
	if err != nil {
		return nil, err
	}
	defer end(served)
	who, err := pki.Load(asker, "")
	if err != nil {
		return nil, err
	}
	at, err := method.ParseList(fmt.Sprintf("ssl:127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	c, err := client.Dial(ctx, at, client.Options{Identity: who, Say: func(string) {}})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	pid := strconv.Itoa(p.pid)
	more := row{name: "a recipe at an agent, over an open TLS connection: what it takes beyond the command here"}
	var here, there samples
	for i := range 4*b.runs + 1 {
		o, err := b.runRi(ctx, "", "run", "goroutines", "-p", pid)
		if err != nil {
			return nil, err
		}
		time.Sleep(200 * time.Millisecond) // the agent has a worker wait again
		asked := &request.Request{Command: []string{"run"}, Args: []string{"goroutines"}, Folder: "/",
			Flags: []request.Flag{{Name: "pid", Value: pid}}}
		var out bytes.Buffer
		began := time.Now()
		ending, err := c.Do(ctx, asked, &out, io.Discard)
		took := time.Since(began)
		if err == nil && (ending.Code != 0 || out.Len() == 0) {
			err = fmt.Errorf("at the agent it exits with %d: %s", ending.Code, ending.Why)
		}
		if err != nil {
			return nil, err
		}
		if i == 0 {
			continue // symbols were prepared
		}
		here.addTime(o.took)
		there.addTime(took)
		more.ri.add((took - o.took).Seconds())
	}
	more.whole = there
	more.must = max(3*millisecond, 0.05*here.median())
	more.note = fmt.Sprintf("here the command takes %s, at the agent (the column of the whole) %s; the differences are "+
		"of two runs one after the other, and less than nothing where the agent's waiting worker saves its start.",
		seconds.spread(here), seconds.spread(there))
	return []row{more}, nil
}

// agentAtRest is what an agent takes that nobody asks, with 200 Go processes on the host: alone, and in a fleet.
func agentAtRest(ctx context.Context, b *bench) (rows []row, err error) {
	const many = 200
	source := b.script("idle.go", "package main\n\nimport \"time\"\n\nfunc main() { time.Sleep(24 * time.Hour) }\n")
	idle := filepath.Join(b.scripts, "idle")
	if err := command(ctx, ".", nil, "go", "build", "-o", idle, source); err != nil {
		return nil, err
	}
	for range many {
		cmd := exec.Command(idle)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		defer func() {
			cmd.Process.Kill()
			cmd.Wait()
		}()
	}
	db := filepath.Join(b.scripts, "db.sock")
	served, err := b.agent("listening at", "fleet", "db", filepath.Join(b.scripts, "fleet.db"), "--remote", "punix:"+db)
	if err != nil {
		return nil, err
	}
	defer end(served)
	for _, way := range []struct {
		name string
		args []string
	}{{"an agent at rest", nil}, {"the same, registered in a fleet", []string{"--db", "unix:" + db}}} {
		memory := row{name: fmt.Sprintf("%s, %d Go processes: anonymous memory", way.name, many), unit: bytesOf,
			must: 30 * megabyte}
		cpu := row{name: "the same: time of CPUs, of a core", unit: times, must: 0.001}
		cmd, err := b.agent("listening at", append([]string{"serve", "--folder", filepath.Join(b.scripts, "rest"), "--remote",
			"punix:" + filepath.Join(b.scripts, "rest.sock")}, way.args...)...)
		if err != nil {
			return nil, err
		}
		err = b.rest(ctx, cmd.Process.Pid, &memory, &cpu)
		end(cmd)
		if err != nil {
			return nil, err
		}
		rows = append(rows, memory, cpu)
	}
	return rows, nil
}

// rest watches an agent and its children, once it has begun.
func (b *bench) rest(ctx context.Context, pid int, memory, cpu *row) error {
	const settling, watched = 45 * time.Second, 30 * time.Second
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(settling):
	}
	for range max(b.runs/3, 1) {
		before, _, err := taken(pid)
		if err != nil {
			return err
		}
		began := time.Now()
		time.Sleep(watched)
		after, held, err := taken(pid)
		if err != nil {
			return err
		}
		memory.ri.add(float64(held[0]))
		cpu.ri.add((after - before).Seconds() / time.Since(began).Seconds())
		memory.note = "of the agent itself; the worker that waits for the next request"
		for _, bytes := range held[1:] {
			memory.note += fmt.Sprintf(" has %.0f MB", float64(bytes)/1e6)
		}
		memory.note += "."
	}
	return nil
}

// taken is the time of CPUs that a process and its children have taken, and the anonymous memory of each, its own
// first.
func taken(pid int) (cpu time.Duration, anonymous []int64, err error) {
	pids := []string{strconv.Itoa(pid)}
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return 0, nil, err
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			return 0, nil, err
		}
		pids = append(pids, strings.Fields(string(text))...)
	}
	for _, one := range pids {
		tasks, err := filepath.Glob("/proc/" + one + "/task/*/schedstat")
		if err != nil {
			return 0, nil, err
		}
		for _, task := range tasks {
			text, err := os.ReadFile(task)
			if err != nil {
				continue // the thread has ended
			}
			ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
			if err != nil {
				return 0, nil, err
			}
			cpu += time.Duration(ns)
		}
		status, err := os.ReadFile("/proc/" + one + "/status")
		if err != nil {
			return 0, nil, err
		}
		for line := range strings.Lines(string(status)) {
			if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
				kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				if err != nil {
					return 0, nil, err
				}
				anonymous = append(anonymous, kb<<10)
			}
		}
	}
	return cpu, anonymous, nil
}

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ri/fleet"
)

// Engines that may have a fleet's database.
const (
	ours       = "ours"
	standalone = "ovsdb-server"
	cluster    = "cluster of three"
)

var engineNames = []string{ours, standalone, cluster}

// processes are those that a trial has started.
type processes struct {
	folder string
	all    []*exec.Cmd
}

// start starts one that dies with the bench. It may have as many descriptors as are allowed.
func (p *processes) start(name string, args ...string) (*exec.Cmd, error) {
	log, err := os.Create(filepath.Join(p.folder, fmt.Sprintf("log%d", len(p.all))))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command("sh", append([]string{"-c", `ulimit -n "$(ulimit -Hn)"; exec "$0" "$@"`, name}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.all = append(p.all, cmd)
	return cmd, nil
}

// end ends them, those that were started last first.
func (p *processes) end() {
	for i := len(p.all) - 1; i >= 0; i-- {
		cmd := p.all[i]
		_ = cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		timer.Stop()
	}
}

// serve has an engine serve a new database, and gives where it is, and the processes which that takes.
func (p *processes) serve(ctx context.Context, b *bench, engine string) (db string, served []*exec.Cmd, err error) {
	at := func(what string, n int) string { return filepath.Join(p.folder, fmt.Sprintf("%s%d", what, n)) }
	schema := at("schema", 0)
	if err := os.WriteFile(schema, []byte(fleet.Schema), 0o600); err != nil {
		return "", nil, err
	}
	tool := func(args ...string) error {
		out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	count := 1
	switch engine {
	case ours:
	case standalone:
		err = tool("ovsdb-tool", "create", at("db", 0), schema)
	case cluster:
		count = 3
		err = tool("ovsdb-tool", "create-cluster", at("db", 0), schema, "unix:"+at("raft", 0))
		for n := 1; n < count && err == nil; n++ {
			err = tool("ovsdb-tool", "join-cluster", at("db", n), fleet.Name, "unix:"+at("raft", n), "unix:"+at("raft", 0))
		}
	}
	var list []string
	for n := 0; n < count && err == nil; n++ {
		var cmd *exec.Cmd
		if engine == ours {
			cmd, err = p.start(b.ri, "fleet", "db", at("db", n), "--remote", "punix:"+at("sock", n))
		} else {
			cmd, err = p.start("ovsdb-server", "-vconsole:warn", "--remote=punix:"+at("sock", n), "--unixctl="+at("ctl", n),
				at("db", n))
		}
		list, served = append(list, "unix:"+at("sock", n)), append(served, cmd)
	}
	for n := 0; n < count && err == nil; n++ {
		err = appears(ctx, at("sock", n))
	}
	for n := 0; n < count && err == nil && engine == cluster; n++ {
		err = tool("ovsdb-client", "--timeout=60", "wait", list[n], fleet.Name, "connected")
	}
	return strings.Join(list, ","), served, err
}

// appears waits until there is a file.
func appears(ctx context.Context, path string) error {
	for {
		_, err := os.Stat(path)
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// peersHits are the same hits by bpftrace and by dlv trace. What dlv costs is time: the process stands while dlv looks.
func (b *bench) peersHits(ctx context.Context, p *process) []row {
	at := fmt.Sprintf("uprobe:%s:\"main.framed\"", b.target)
	scripts := []struct{ name, text string }{
		{"bpftrace, a false condition in a register", at + ` /(int64)reg("bx") == -5/ { @ = count(); }`},
		{"bpftrace, counted", at + ` { @ = count(); }`},
		{"bpftrace, three fields behind pointers", at + ` { $o = reg("ax"); $n = *(uint64 *)($o + 24); ` +
			`$w = *(uint64 *)($o + 32); $f = *(uint64 *)($w + 16); printf("%d %s %d\n", *(int64 *)$n, ` +
			`str(*(uint64 *)$w, *(uint64 *)($w + 8)), *(int64 *)($f + 16)); }`},
	}
	var rows []row
	for _, s := range scripts {
		r := row{name: "a hit by " + s.name, note: "at the function's first instruction, where bpftrace puts it."}
		if err := b.bpftraceHits(ctx, p, s.text, &r); err != nil {
			r.note = "failed: " + firstLine(err.Error())
		}
		rows = append(rows, r)
	}
	r := row{name: "a hit by dlv trace, as time", note: "the process stands meanwhile."}
	if err := b.dlvHits(ctx, &r); err != nil {
		r.note = "failed: " + firstLine(err.Error())
	}
	return append(rows, r)
}

func (b *bench) bpftraceHits(ctx context.Context, p *process, script string, r *row) error {
	if _, err := exec.LookPath("bpftrace"); err != nil {
		return err
	}
	for range b.peerRuns {
		idle, err := p.ask(fmt.Sprintf("framed %d", hitRuns))
		if err != nil {
			return err
		}
		// Probes are attached in order, so what the clock says comes when the others are there.
		cmd := exec.CommandContext(ctx, "bpftrace", "-p", strconv.Itoa(p.pid), "-e",
			script+` interval:ms:100 { printf("armed\n"); }`)
		var got []int64
		err = whileSaid(cmd, "armed", func() (err error) {
			got, err = p.ask(fmt.Sprintf("framed %d", hitRuns))
			return err
		})
		if err != nil {
			return err
		}
		r.dlv.add(float64(got[0]-idle[0]) / 1e9 / hitRuns)
	}
	return nil
}

// dlvHits traces a target of its own: one that dlv leaves may have its breakpoints.
func (b *bench) dlvHits(ctx context.Context, r *row) error {
	p, err := b.startTarget()
	if err != nil {
		return err
	}
	defer p.kill()
	const calls = 100
	cmd := exec.CommandContext(ctx, b.dlv, "trace", "-p", strconv.Itoa(p.pid), "main.framed")
	cmd.Env = append(os.Environ(), "HOME="+b.scripts)
	var said lines
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for began := time.Now(); said.count("main.framed(") == 0; {
		if time.Since(began) > time.Minute || ctx.Err() != nil {
			return errors.New("dlv shows no call within a minute: " + said.text())
		}
		time.Sleep(100 * time.Millisecond)
		if _, err := p.ask("framed 1"); err != nil {
			return err
		}
	}
	for range b.peerRuns {
		got, err := p.ask(fmt.Sprintf("framed %d", calls))
		if err != nil {
			return err
		}
		r.dlv.add(float64(got[1]) / 1e9 / calls)
	}
	return nil
}

// whileSaid runs a command until it has said something on its standard output, does something, and interrupts it.
func whileSaid(cmd *exec.Cmd, text string, do func() error) error {
	var errs bytes.Buffer
	cmd.Stderr = &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if err := waitFor(out, text); err != nil {
		return fmt.Errorf("%w: %s", err, errs.String())
	}
	go io.Copy(io.Discard, out)
	return do()
}

// lines is what a command has said so far.
type lines struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.data.Write(b)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.data.String()
}

func (l *lines) count(what string) int { return strings.Count(l.text(), what) }

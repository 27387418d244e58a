package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"ri/attach/proc"
	"ri/files"
	"ri/fleet"
	"ri/inert"
	"ri/instruments/rows"
	"ri/serve"
	"ri/serve/method"
	"ri/serve/pki"
	"ri/serve/request"
)

// Simulate is what a command line says of simulated agents.
type Simulate struct {
	fleet.Simulation
	File string // of rows
	PKI  string // the folder of an authority; "": no certificates
	PIDs []int  // of processes that exist
}

// FleetSimulate is many agents that don't exist, in as many processes as their descriptors need.
func FleetSimulate(ctx context.Context, out *rows.Output, a *fleet.Asker, s *Simulate) error {
	s.Database, s.Version, s.Say = a.Database, a.Version, out.Log
	s.Rows = []byte(`{"answer":"simulated"}` + "\n")
	if s.File != "" {
		text, err := files.Read(s.File, request.Piece)
		if err != nil {
			return rows.Usage(err)
		}
		s.Rows = text
	}
	if s.PKI != "" {
		var err error
		if s.Authority, err = pki.Open(s.PKI); err != nil {
			return rows.Usage(err)
		}
	} else if s.Uncalled {
		return rows.Usagef("--uncalled: who is asked by rows has a certificate: --pki FOLDER")
	}
	if len(s.PIDs) > 0 {
		if s.PKI != "" {
			return rows.Usagef("--real: agents of processes that exist are called by sockets: leave --pki out")
		}
		if err := s.describe(); err != nil {
			return err
		}
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	most := max(int(min(limit.Cur, 1<<20))-spareDescriptors, 0)/s.Descriptors() + 1
	ctx, end := context.WithCancel(ctx)
	defer end()
	failed := make(chan error, s.Count/most+1)
	var all sync.WaitGroup
	defer all.Wait()
	for s.Count > most { // the last are elsewhere
		s.Count -= most
		more := simulateElsewhere(ctx, s.First+s.Count, most)
		all.Go(func() {
			defer end()
			failed <- more()
		})
	}
	err := s.Run(ctx)
	end()
	all.Wait()
	close(failed)
	for more := range failed {
		err = errors.Join(err, more)
	}
	return rows.Refused(err)
}

// spareDescriptors are for what isn't an agent's: those who call, and the runtime.
const spareDescriptors = 400

// simulateElsewhere has some of the agents be those of another process, and waits until it ends.
func simulateElsewhere(ctx context.Context, first, count int) func() error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", slices.Concat(os.Args[1:], []string{
		"--count=" + strconv.Itoa(count), "--first=" + strconv.Itoa(first)})...)
	cmd.Stdout, cmd.Stderr = inert.NewWriter(os.Stdout), inert.NewWriter(os.Stderr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return func() error {
		if err := cmd.Run(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("agents %d to %d are simulated by a process of their own, which ended: %w", first, first+count-1,
				err)
		}
		return nil
	}
}

// describe finds the processes that exist, each of which has an agent of its own.
func (s *Simulate) describe() error {
	var lister proc.Lister
	all, err := lister.List()
	if err != nil {
		return err
	}
	for _, pid := range s.PIDs {
		at := slices.IndexFunc(all.Go, func(p proc.GoProcess) bool { return p.PID == pid })
		if at < 0 {
			return rows.Usagef("--real %d: there is no Go process of that number", pid)
		}
		s.Real = append(s.Real, targetOf(all.Go[at]))
	}
	if len(s.Real) > s.First+s.Count {
		return rows.Usagef("--real: %d processes are more than the agents", len(s.Real))
	}
	s.Serve = func(ctx context.Context, m *fleet.Member) error {
		agent := &serve.Agent{Folder: m.Folder, Version: m.Version, Say: func(string) {}}
		var err error
		if agent.Methods, err = method.ParseList("p" + m.Methods[0]); err != nil {
			return err
		}
		if agent.ID, err = m.ID(); err != nil {
			return err
		}
		agent.Beside = func(ctx context.Context) {
			if err := m.Run(ctx); err != nil {
				s.Say(m.Name + ": " + err.Error())
			}
		}
		return agent.Serve(ctx)
	}
	return nil
}

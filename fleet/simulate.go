package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"ri/ovsdb"
	"ri/ovsdb/wire"
	"ri/serve/request"
)

// Simulation is many agents in one process, each with a connection, monitors, a lease and a socket of its own, as real
// ones have them: to measure what a database bears. Their processes don't exist, and what they answer is the same rows.
type Simulation struct {
	Database Database
	Count    int
	Targets  int    // of each
	Rows     []byte // what each target answers, a row a line
	Version  string
	Say      func(string)
}

// mostSimulated is bounded by how many sockets a process may have.
const mostSimulated = 20000

// Run has the agents be there until the context ends.
func (s *Simulation) Run(ctx context.Context) error {
	if s.Count < 1 || s.Count > mostSimulated || s.Targets < 0 {
		return fmt.Errorf("%d agents can't be simulated: 1 to %d", s.Count, mostSimulated)
	}
	dir, err := os.MkdirTemp("", "ri") // a socket's name is short
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	defer all.Wait()
	var said atomic.Int64
	for n := range s.Count {
		if ctx.Err() != nil {
			break
		}
		socket := filepath.Join(dir, fmt.Sprint(n))
		l, err := net.Listen("unix", socket)
		if err != nil {
			cancel(err)
			break
		}
		id := ovsdb.NewUUID().String()
		var targets []Target
		for t := range s.Targets {
			targets = append(targets, Target{PID: firstSimulated + n*s.Targets + t, Start: 1, Name: "simulated",
				Module: "example.com/simulated", Version: "v1.0.0", Go: "go1.26"})
		}
		m := &Member{Database: s.Database, Name: fmt.Sprintf("sim-%05d", n), Version: s.Version, id: id,
			Labels: map[string]string{"simulated": "yes", "rack": fmt.Sprint(n % 40)}, Methods: []string{"unix:" + socket},
			Scan: func() ([]Target, error) { return targets, nil },
			Say: func(text string) {
				if said.Add(1) <= 10 {
					s.Say(text)
				}
			}}
		all.Go(func() {
			if err := m.Run(ctx); err != nil {
				cancel(err)
			}
		})
		all.Go(func() { s.answer(ctx, l, id) })
		context.AfterFunc(ctx, func() { l.Close() })
	}
	s.Say(fmt.Sprintf("%d agents are simulated, until Ctrl-C", s.Count))
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// firstSimulated is above the pids that Linux has.
const firstSimulated = 1 << 23

// answer is a simulated agent to who calls.
func (s *Simulation) answer(ctx context.Context, l net.Listener, id string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			peer := wire.NewPeer(conn, request.MaxMessage)
			for {
				r, err := peer.Next()
				if err != nil {
					return
				}
				switch {
				case r.Method == request.Hello:
					_ = r.Reply(request.Welcome{Protocol: request.Protocol, Version: s.Version, Host: "simulated", Agent: id,
						Role: request.Operator.String(), Caller: "somebody"})
				case r.Method == request.Run && len(r.Params) == 2:
					go func() {
						if len(s.Rows) > 0 {
							_, _ = peer.Call(ctx, request.Output, r.Params[0], request.Stdout, request.Bytes(s.Rows))
						}
						_ = r.Reply(request.Ending{})
					}()
				case r.Method == "echo":
					_ = r.Reply(r.Params)
				case !r.Notification():
					_ = r.Fail("unknown method")
				}
			}
		}()
	}
}

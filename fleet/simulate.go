package fleet

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"ri/ovsdb"
	"ri/ovsdb/wire"
	"ri/serve/pki"
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
	// Authority makes a certificate for each, by which they are called over TLS; nil: they are called by sockets.
	Authority *pki.Authority
	Uncalled  bool   // they can't be called, and are asked by rows of the database
	Named     string // how their names begin; "": sim
	First     int    // the number of the first: others are elsewhere
	// Real are processes that exist: the agents of the first numbers have one each, and Serve is such an agent at what the
	// member publishes, with the member beside it, until the context ends.
	Real  []Target
	Serve func(context.Context, *Member) error
}

// Descriptors is how many each agent takes.
func (s *Simulation) Descriptors() int {
	if s.Uncalled {
		return 1
	}
	return 2
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
	for n := s.First; n < s.First+s.Count; n++ {
		if ctx.Err() != nil {
			break
		}
		id := ovsdb.NewUUID().String()
		var targets []Target
		for t := range s.Targets {
			targets = append(targets, Target{PID: firstSimulated + n*s.Targets + t, Start: 1, Name: "simulated",
				Module: "example.com/simulated", Version: "v1.0.0", Go: "go1.26"})
		}
		m := &Member{Database: s.Database, Name: fmt.Sprintf("%s-%05d", cmp.Or(s.Named, "sim"), n*7919%spread), id: id,
			Version: s.Version, Labels: map[string]string{"simulated": "yes", "rack": fmt.Sprint(n % 40)},
			Folder: filepath.Join(dir, fmt.Sprint(n)),
			Connect: func(pki.Holder) (net.Conn, error) {
				theirs, ours := net.Pipe()
				go s.serve(ctx, ours, id)
				return theirs, nil
			},
			Scan: func() ([]Target, error) { return targets, nil },
			Say: func(text string) {
				if said.Add(1) <= 10 {
					s.Say(text)
				}
			}}
		if n < len(s.Real) {
			targets = s.Real[n : n+1]
			m.Methods = []string{"unix:" + filepath.Join(m.Folder, "s")}
			all.Go(func() {
				if err := s.Serve(ctx, m); err != nil {
					cancel(err)
				}
			})
			continue
		}
		l, err := s.listen(m)
		if err != nil {
			cancel(err)
			break
		}
		all.Go(func() {
			if err := m.Run(ctx); err != nil {
				cancel(err)
			}
		})
		if l != nil {
			all.Go(func() { s.answer(ctx, l, id) })
			context.AfterFunc(ctx, func() { l.Close() })
		}
	}
	s.Say(fmt.Sprintf("agents %d to %d are simulated, until Ctrl-C", s.First, s.First+s.Count-1))
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// spread is a prime above mostSimulated: by their names, the agents that have real processes are among the others.
const spread = 20011

// firstSimulated is above the pids that Linux has.
const firstSimulated = 1 << 23

// listen gives an agent what it is called by, and its certificate.
func (s *Simulation) listen(m *Member) (net.Listener, error) {
	if err := os.Mkdir(m.Folder, 0o700); err != nil {
		return nil, err
	}
	if s.Authority != nil {
		var err error
		if m.Identity, err = s.Authority.Brief(pki.Wish{Name: m.Name, Kind: pki.Agent, Hosts: []string{simulatedHost},
			Life: simulatedLife}); err != nil {
			return nil, err
		}
		m.Database.Identity = m.Identity
	}
	switch {
	case s.Uncalled:
		return nil, nil
	case s.Authority == nil:
		socket := filepath.Join(m.Folder, "s")
		m.Methods = []string{"unix:" + socket}
		return net.Listen("unix", socket)
	}
	l, err := net.Listen("tcp", simulatedHost+":0")
	if err != nil {
		return nil, err
	}
	m.Methods = []string{"ssl:" + l.Addr().String()}
	return tls.NewListener(l, m.Identity.Config(pki.IsAsker, "")), nil
}

// Simulated agents are called here, and have certificates for as long as a measurement might take.
const (
	simulatedHost = "127.0.0.1"
	simulatedLife = 48 * time.Hour
)

// answer is a simulated agent to who calls.
func (s *Simulation) answer(ctx context.Context, l net.Listener, id string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go s.serve(ctx, conn, id)
	}
}

// serve does what is asked over a connection: nothing.
func (s *Simulation) serve(ctx context.Context, conn net.Conn, id string) {
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
}

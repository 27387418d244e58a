package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"ri/ovsdb"
	"ri/ovsdb/engine"
	"ri/ovsdb/wire"
	"ri/serve/method"
	"ri/serve/pki"
)

// Server is the database of a fleet, served by our own engine from one file.
type Server struct {
	File     string
	Methods  []method.Method
	Identity *pki.Identity // for TLS
	Insecure bool          // plain TCP may be reached from other machines
	Say      func(string)
}

// Serve serves until the context ends.
func (s *Server) Serve(ctx context.Context) error {
	for _, m := range s.Methods {
		switch {
		case !m.Passive:
			return fmt.Errorf("%s: a database is called and calls nobody: punix:FILE, pssl:[PORT][:IP] or ptcp:[PORT][:IP]", m)
		case m.TLS && s.Identity == nil:
			return fmt.Errorf("%s: TLS needs a certificate: --tls FILE (ri pki issue NAME --agent makes one)", m)
		case m.TLS && pki.IsAgent(s.Identity.Holder) != nil:
			return fmt.Errorf("%s: the certificate of %s is of who asks; a database's is one of an agent (ri pki issue NAME "+
				"--agent)", m, s.Identity.Name)
		case !m.TLS && !m.Loopback() && !s.Insecure:
			return fmt.Errorf("%s: whoever reaches it may write to the database: use pssl, an address of this machine "+
				"(ptcp:%s:127.0.0.1), or --insecure-tcp", m, method.DefaultPort)
		}
	}
	schema, err := ParsedSchema()
	if err != nil {
		return err
	}
	f, err := ovsdb.Open(s.File, schema, time.Second)
	if err != nil {
		return fmt.Errorf("%s: %w", s.File, err)
	}
	db, err := engine.Open(f)
	if err != nil {
		f.Close()
		return fmt.Errorf("%s: %w", s.File, err)
	}
	defer db.Close()
	server, err := wire.NewServer()
	if err == nil {
		err = server.Add(db)
	}
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	served := make(chan struct{}, len(s.Methods))
	began := 0
	for _, m := range s.Methods {
		l, err := m.Listen()
		if err != nil {
			end(err)
			break
		}
		if m.TLS {
			l = tls.NewListener(l, s.Identity.Config(func(pki.Holder) error { return nil }, ""))
		}
		began++
		go func() {
			if err := server.Serve(ctx, l); err != nil {
				end(err)
			}
			served <- struct{}{}
		}()
		s.Say(fmt.Sprintf("the fleet's database %s: listening at %s", s.File, m))
	}
	<-ctx.Done()
	for range began {
		<-served
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

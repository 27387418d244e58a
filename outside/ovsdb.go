package outside

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"

	"ri/ovsdb"
	"ri/ovsdb/wire"
	"ri/serve/method"
)

// Site is how TLS is spoken to a database's host: as whom, and whom is believed.
type Site func(host string) (*tls.Config, error)

// server reads a connection method of a database that is called, and makes sure that TLS can be spoken if it has to be.
func server(at string, site Site) (method.Method, error) {
	m, err := method.Parse(at)
	switch {
	case err != nil || m.Passive:
		return m, fmt.Errorf("ovsdb=%s: a database is called by unix:FILE, ssl:HOST[:PORT] or tcp:HOST[:PORT]", at)
	case m.TLS && site == nil:
		return m, fmt.Errorf("ovsdb=%s: TLS needs a certificate", at)
	case m.TLS:
		_, err = site(m.Host())
	}
	return m, err
}

// Transact does a transaction at a database's server: operations as RFC 7047 has them, decoded. An error of an
// operation, which undoes all of them, is an error; it is ErrChanged where a "wait" doesn't hold.
func (a *Allowed) Transact(ctx context.Context, at, database string, operations []any) ([]any, error) {
	if a == nil || !slices.Contains(a.servers, at) {
		return nil, fmt.Errorf("the database at %s isn't allowed (--allow ovsdb=%s): %w", at, at, ErrNotAllowed)
	}
	m, err := server(at, a.site)
	if err != nil {
		return nil, err
	}
	var secure *tls.Config
	if m.TLS {
		if secure, err = a.site(m.Host()); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := m.Dial(ctx, func(string) *tls.Config { return secure })
	if err != nil {
		return nil, err
	}
	peer := wire.NewPeer(conn, MaxBody)
	defer peer.Close()
	go func() {
		for {
			if _, err := peer.Next(); err != nil {
				return
			}
		}
	}()
	answer, err := peer.Call(ctx, "transact", append([]any{database}, operations...)...)
	if err != nil && !errors.As(err, new(*wire.Failure)) && !Reads(operations) {
		err = fmt.Errorf("%w: %w", err, ErrUnknown)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	results, ok := answer.([]any)
	if !ok {
		return nil, fmt.Errorf("%s answers %s, which are no results", at, ovsdb.Text(answer))
	}
	for _, r := range results {
		if e, ok := r.(map[string]any); ok && e["error"] != nil {
			err := fmt.Errorf("%s: %s", at, ovsdb.Text(e))
			if e["error"] == "timed out" || e["error"] == "aborted" {
				err = fmt.Errorf("%w: %w", err, ErrChanged)
			}
			return nil, err
		}
	}
	return results, nil
}

// Reads tells whether operations change nothing.
func Reads(operations []any) bool {
	return !slices.ContainsFunc(operations, func(o any) bool {
		op, ok := o.(map[string]any)
		return !ok || op["op"] != "select" && op["op"] != "wait" && op["op"] != "comment" && op["op"] != "assert"
	})
}

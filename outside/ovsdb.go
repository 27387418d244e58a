package outside

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"ri/ovsdb"
	"ri/ovsdb/wire"
)

// serverAddress takes a connection method apart: unix:FILE or tcp:HOST:PORT.
func serverAddress(at string) (network, address string, err error) {
	kind, rest, _ := strings.Cut(at, ":")
	switch {
	case kind == "unix" && rest != "":
		return "unix", rest, nil
	case kind == "tcp" && rest != "":
		if _, _, err := net.SplitHostPort(rest); err != nil {
			return "", "", fmt.Errorf("ovsdb=%s: tcp:HOST:PORT: %w", at, err)
		}
		return "tcp", rest, nil
	}
	return "", "", fmt.Errorf("ovsdb=%s: unix:FILE or tcp:HOST:PORT", at)
}

// Transact does a transaction at a database's server: operations as RFC 7047 has them, decoded. An error of an
// operation, which undoes all of them, is an error; it is ErrChanged where a "wait" doesn't hold.
func (a *Allowed) Transact(ctx context.Context, at, database string, operations []any) ([]any, error) {
	if a == nil || !slices.Contains(a.servers, at) {
		return nil, fmt.Errorf("the database at %s isn't allowed (--allow ovsdb=%s): %w", at, at, ErrNotAllowed)
	}
	network, address, err := serverAddress(at)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
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

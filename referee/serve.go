package referee

import (
	"context"
	"net"
)

// Serve serves Delve's API (JSON-RPC, version 2) and DAP on a copy to clients of this user, until one of them ends it
// or the context is over, whose cause is then the error. ready is called once clients can come; warn when one is
// refused. The listener is closed in any case.
func Serve(ctx context.Context, c Copy, l net.Listener, ready func(), warn func(string, ...any)) error {
	conf, err := delveConfig()
	if err != nil {
		warn("Delve's configuration: %v", err)
	}
	g := newGate(l, c, true, warn)
	defer g.Close()
	ended := make(chan struct{})
	server, err := c.open(g, conf.DebugInfoDirectories, ended)
	if err != nil {
		return err
	}
	defer contain(server.Stop)
	ready()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	return context.Cause(ctx)
}

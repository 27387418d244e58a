package referee

import (
	"fmt"

	"github.com/go-delve/delve/service"
	"github.com/go-delve/delve/service/debugger"
	"github.com/go-delve/delve/service/rpccommon"
)

// Copy is a core that Delve opens with its own reader, so that its terminal, its API and its DAP server work on it.
type Copy struct {
	Core       string   // path of the core; /proc/self/fd/N of one that has no name
	Executable string   // path of the program that it is of
	DebugInfo  []string // folders with its debug information, before those of Delve's configuration
	Of         string   // what it is a copy of: "pid 4711 (nats-server), which runs on"
}

// only says what a copy can't do.
func (c Copy) only() string {
	return fmt.Sprintf("this is a copy of %s; it can be read, but not run, changed or stopped at a breakpoint", c.Of)
}

// open has Delve load the copy and serve whom the listener lets in. debugInfo are folders for split debug information.
func (c Copy) open(l *gate, debugInfo []string, disconnected chan struct{}) (*rpccommon.ServerImpl, error) {
	server := rpccommon.NewServer(&service.Config{
		Listener:           l,
		AcceptMulti:        l.many,
		APIVersion:         2,
		CheckLocalConnUser: true,
		DisconnectChan:     disconnected,
		ProcessArgs:        []string{c.Executable},
		Debugger: debugger.Config{CoreFile: c.Core, Backend: "core",
			DebugInfoDirectories: append(c.DebugInfo, debugInfo...)},
	})
	if err := contain(server.Run); err != nil {
		return nil, fmt.Errorf("Delve can't open the copy of %s: %w", c.Of, err)
	}
	return server, nil
}

package referee

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/go-delve/delve/pkg/config"
	"github.com/go-delve/delve/pkg/terminal"
	"github.com/go-delve/delve/service"
	"github.com/go-delve/delve/service/rpc2"
	"golang.org/x/term"

	"ri/inert"
)

// delveConfig is what a user of Delve has set: aliases, substitutions of paths, colours.
func delveConfig() (*config.Config, error) { return config.LoadConfig() }

// Terminal runs Delve's own terminal client on a copy, Starlark included, on this process's terminal, until its user
// leaves it or the context is over, whose cause is then the error. On a terminal Ctrl-C is the client's from then on:
// it ends a long command.
func Terminal(ctx context.Context, c Copy, warn func(string, ...any)) error {
	conf, err := delveConfig()
	if err != nil {
		warn("Delve's configuration: %v", err)
	}
	l, conn := service.ListenerPipe()
	g := newGate(l, c, false, warn)
	defer g.Close()
	server, err := c.open(g, conf.DebugInfoDirectories, make(chan struct{}))
	if err != nil {
		return err
	}
	defer contain(server.Stop)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	plainOutput(term.IsTerminal(int(os.Stdout.Fd())))
	if term.IsTerminal(int(os.Stdin.Fd())) {
		signal.Reset(syscall.SIGINT)
	}
	t := terminal.New(rpc2.NewClientFromConn(conn), conf, false)
	t.RedirectTo(terminalWriter{inert.NewColourWriter(os.Stdout)})
	finished := make(chan error, 1)
	go func() {
		finished <- contain(func() error {
			status, err := t.Run()
			if err == nil && status != 0 {
				err = fmt.Errorf("the terminal of Delve ended with %d", status)
			}
			return err
		})
	}()
	select {
	case err = <-finished:
	case <-ctx.Done():
		t.Close() // the terminal is as it was
		err = context.Cause(ctx)
	}
	return err
}

// plainOutput sets up what Delve's client asks the environment about. What goes to a file is neither coloured nor shown
// by a pager. A pager gets what the target holds past our hands, so unless the user named one it is less, which shows
// control characters, or none.
func plainOutput(terminal bool) {
	switch {
	case !terminal:
		os.Setenv("TERM", "dumb")
		os.Unsetenv("DELVE_PAGER")
	case os.Getenv("DELVE_PAGER") != "" || os.Getenv("PAGER") != "":
	default:
		os.Setenv("DELVE_PAGER", "less")
		if _, err := exec.LookPath("less"); err != nil {
			os.Setenv("DELVE_PAGER", "no-pager") // which can't be started, so that Delve goes on without
		}
		if os.Getenv("LESS") == "" {
			os.Setenv("LESS", "-R") // colours are shown as such
		}
	}
}

// interruptText is what Delve's client says at Ctrl-C. Here no process is stopped.
const interruptText = "received SIGINT, stopping process (will not forward signal)"

// terminalWriter corrects what Delve's client says.
type terminalWriter struct{ io.Writer }

func (w terminalWriter) Write(p []byte) (int, error) {
	if _, err := w.Writer.Write(bytes.ReplaceAll(p, []byte(interruptText), []byte("interrupted"))); err != nil {
		return 0, err
	}
	return len(p), nil
}

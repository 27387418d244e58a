package client

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"ri/serve/request"
)

// feed sends what is typed, a piece at a time.
func (o *call) feed(ctx context.Context) {
	buf := make([]byte, 32<<10)
	for ctx.Err() == nil {
		n, err := o.in.Read(buf)
		if n == 0 && err == nil || n > 0 && o.typed.takes(buf[:n]) {
			continue
		}
		if n == 0 { // the last line needs no end
			o.typed.takes([]byte{'\n'})
		}
		if _, err := o.client.peer.Call(ctx, request.Input, o.id, request.Bytes(buf[:n])); err != nil || n == 0 {
			return
		}
	}
}

// terminal has this terminal pass on what is typed, if the command has one there.
func (o *call) terminal() (restore func(), err error) {
	t := o.asked.Terminal
	if t == nil || !t.In {
		o.resume = func() {}
		return func() {}, nil
	}
	fd := int(o.in.Fd())
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("the terminal: %w", err)
	}
	restore = func() { term.Restore(fd, state) }
	o.resume = func() { term.MakeRaw(fd) }
	o.raw = func() (func(), func()) { return o.resume, restore }
	return restore, nil
}

// suspend stops this process, as the command there was stopped, and lets both go on together.
func (o *call) suspend() {
	if o.raw != nil {
		_, back := o.raw()
		back()
	}
	signal.Reset(syscall.SIGTSTP)
	_ = unix.Kill(os.Getpid(), syscall.SIGTSTP)
	time.Sleep(time.Millisecond) // the signal comes before this does
	o.resume()
	_ = o.client.peer.Notify(request.Signal, o.id, int(syscall.SIGCONT))
}

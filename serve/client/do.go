package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"ri/ovsdb/wire"
	"ri/serve/request"
)

// heeding is how long an agent may take to end a command that it was told to end.
const heeding = 600 * time.Millisecond

// Do has the agent do a command that reads nothing, and has no terminal: one of many at once. When the context ends
// the agent is told, and waited for a moment, no more: who asked closes the connection then, which ends it too. Errors:
// ErrRefused, ErrLost, or the context's.
func (c *Client) Do(ctx context.Context, asked *request.Request, stdout, stderr io.Writer) (*request.Ending, error) {
	if asked.Input || asked.Terminal != nil {
		return nil, errors.New("a command of many has no terminal")
	}
	places, err := gather(asked)
	if err != nil {
		return nil, err
	}
	ending, err := c.do(ctx, asked, places, stdout, stderr)
	if err != nil {
		places.drop()
		return nil, err
	}
	return ending, places.commit(ending.Code)
}

// Gather reads the files that a command names, for one that travels by another way.
func Gather(asked *request.Request) error {
	_, err := gather(asked)
	return err
}

// DoAs is Do for a request whose files came with it: nothing is read here, and nothing made.
func (c *Client) DoAs(ctx context.Context, asked *request.Request, stdout, stderr io.Writer) (*request.Ending, error) {
	return c.do(ctx, asked, &places{out: map[string]bool{}, open: map[string]*growing{}}, stdout, stderr)
}

// DoKept is DoAs for a command that makes a file, of so many bytes at most: it gives what is in it, nil if there is no
// file.
func (c *Client) DoKept(ctx context.Context, asked *request.Request, most int, stdout,
	stderr io.Writer) (*request.Ending, []byte, error) {
	_, made := asked.Paths()
	p := &places{out: map[string]bool{}, open: map[string]*growing{}, most: most}
	for _, path := range made {
		p.out[asked.Absolute(path)] = false
	}
	ending, err := c.do(ctx, asked, p, stdout, stderr)
	if err == nil {
		err = p.commit(ending.Code)
	}
	for _, g := range p.ready {
		if f, ok := g.file.(*inMemory); ok && err == nil {
			return ending, f.data, nil
		}
	}
	return ending, nil, err
}

func (c *Client) do(ctx context.Context, asked *request.Request, places *places, stdout,
	stderr io.Writer) (*request.Ending, error) {
	o := c.begin(asked, places, map[int]io.Writer{request.Stdout: stdout, request.Stderr: stderr})
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		for r := range o.queue {
			if r.Method == request.Stopped { // nobody is there to go on with it
				_ = c.peer.Notify(request.Signal, o.id, int(syscall.SIGCONT))
				continue
			}
			o.work(r)
		}
	}()
	defer o.finish(worked)
	if err := c.sendFiles(ctx, o); err != nil {
		return nil, err
	}
	answer, err := c.peer.Begin(request.Run, o.id, asked)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", c.at, ErrLost, err)
	}
	defer context.AfterFunc(ctx, func() {
		_ = c.peer.Notify(request.Signal, o.id, int(syscall.SIGINT))
	})()
	heeded, stop := context.WithCancel(context.Background())
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(heeding, stop) })()
	j, err := answer(heeded)
	if err == nil {
		var ending request.Ending
		err = request.Into(j, &ending)
		o.finish(worked)
		return &ending, errors.Join(err, o.failed)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if lost := c.whyLost(err); lost != nil {
		return nil, fmt.Errorf("%s: %w: %w", c.at, ErrLost, lost)
	}
	return nil, fmt.Errorf("%s: %w", c.at, told(err))
}

// whyLost is why the connection ended, if it has, of which a call knows no more than that.
func (c *Client) whyLost(err error) error {
	if errors.Is(err, wire.ErrClosed) {
		<-c.done
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost
}

// begin has what the agent says of a new command be for that.
func (c *Client) begin(asked *request.Request, places *places, out map[int]io.Writer) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	o := &call{client: c, id: c.last, asked: asked, out: out, places: places, queue: make(chan *wire.Request, 64),
		ended: make(chan struct{})}
	o.typed.begin(asked)
	c.calls[o.id] = o
	if c.lost != nil {
		o.close()
	}
	return o
}

func (o *call) finish(worked chan struct{}) {
	o.client.mu.Lock()
	delete(o.client.calls, o.id)
	o.close()
	o.client.mu.Unlock()
	<-worked
}

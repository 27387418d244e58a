//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ri/ovsdb"
	"ri/ovsdb/engine"
	"ri/ovsdb/wire"
)

// server is a process that serves, and a connection to it.
type server struct {
	command *exec.Cmd
	folder  string // of the socket
	conn    *conn
}

// serveEngine serves a database file until the process is killed.
func serveEngine(path, socket string) error {
	f, err := ovsdb.Open(path, nil, 0)
	if err != nil {
		return err
	}
	db, err := engine.Open(f)
	if err != nil {
		return err
	}
	s, err := wire.NewServer()
	if err != nil {
		return err
	}
	if err := s.Add(db); err != nil {
		return err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	return s.Serve(context.Background(), l)
}

func startOurs(ctx context.Context, folder string) (*server, error) {
	return start(ctx, folder, func(db, socket string) *exec.Cmd {
		return exec.Command("/proc/self/exe", "-serve", db, "-socket", socket)
	})
}

func startReal(ctx context.Context, folder string) (*server, error) {
	return start(ctx, folder, func(db, socket string) *exec.Cmd {
		return exec.Command("ovsdb-server", "-vconsole:off", "--remote=punix:"+socket, "--unixctl="+socket+".ctl", db)
	})
}

func start(ctx context.Context, folder string, command func(db, socket string) *exec.Cmd) (*server, error) {
	parsed, err := ovsdb.ParseSchema([]byte(schema))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(folder, "db")
	f, err := ovsdb.Open(path, parsed, 0)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	s := &server{}
	if s.folder, err = os.MkdirTemp("", "ri"); err != nil { // a socket's name is short
		return nil, err
	}
	socket := filepath.Join(s.folder, "s")
	s.command = command(path, socket)
	s.command.Stderr = os.Stderr
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	for { // until it listens
		if s.conn, err = dial(socket); err == nil {
			return s, nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			s.kill()
			return nil, ctx.Err()
		}
		if s.command.Process.Signal(syscall.Signal(0)) != nil {
			return nil, errors.New("the server ended at its start")
		}
	}
}

func (s *server) kill() {
	if s.conn != nil {
		s.conn.Close()
	}
	s.command.Process.Kill()
	s.command.Wait()
	os.RemoveAll(s.folder)
}

// conn is a connection on which messages are read without being understood.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func dial(socket string) (*conn, error) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReaderSize(c, 64<<10)}, nil
}

// skip reads one message, and gives its length and its first bytes.
func (c *conn) skip() (n int, head []byte, err error) {
	depth, inText, escaped := 0, false, false
	for {
		if _, err := c.in.Peek(1); err != nil {
			return n, head, err
		}
		part, err := c.in.Peek(c.in.Buffered())
		if err != nil {
			return n, head, err
		}
		ended := false
		for i, b := range part {
			switch {
			case escaped:
				escaped = false
			case inText:
				escaped, inText = b == '\\', b != '"'
			case b == '"':
				inText = true
			case b == '{' || b == '[':
				depth++
			case b == '}' || b == ']':
				depth--
				ended = depth == 0
			}
			if ended {
				part = part[:i+1]
				break
			}
		}
		n += len(part)
		if len(head) < 300 {
			head = append(head, part[:min(len(part), 300)]...)
		}
		if _, err := c.in.Discard(len(part)); err != nil || ended {
			return n, head, err
		}
	}
}

// ask sends a request and reads its answer.
func (c *conn) ask(method string, params ...any) (n int, err error) {
	text, err := json.Marshal(map[string]any{"id": 1, "method": method, "params": params})
	if err != nil {
		return 0, err
	}
	if _, err := c.Write(text); err != nil {
		return 0, err
	}
	n, head, err := c.skip()
	if err == nil && (strings.Contains(string(head), `"error":{`) || strings.Contains(string(head), `"error":"`)) {
		err = fmt.Errorf("%s is answered by %s", method, head)
	}
	return n, err
}

// insert inserts rows from a number on, in one transaction.
func (s *server) insert(from, n int, durable bool) error {
	params := []any{"bench"}
	for i := from; i < from+n; i++ {
		params = append(params, map[string]any{"op": "insert", "table": "Item", "row": map[string]any{
			"name": fmt.Sprint("item-", i), "size": i, "share": 0.25, "live": i%2 == 0,
			"tags": []any{"map", []any{[]any{"host", fmt.Sprint("h", i%50)}, []any{"kind", "goroutine"}}}}})
	}
	if durable {
		params = append(params, map[string]any{"op": "commit", "durable": true})
	}
	_, err := s.conn.ask("transact", params...)
	return err
}

// dump is how many rows come in a second when all are asked for.
func (s *server) dump(rows int) (float64, error) {
	began := time.Now()
	n, err := s.conn.ask("transact", "bench", map[string]any{"op": "select", "table": "Item", "where": []any{}})
	if err == nil && n < rows*100 {
		err = fmt.Errorf("%d bytes are too few for %d rows", n, rows)
	}
	return rate(rows, began), err
}

// commits is how many rows are written in a second by durable transactions of so many.
func (s *server) commits(n, each int) (float64, error) {
	began := time.Now()
	for i := range n {
		if err := s.insert(i*each, each, true); err != nil {
			return 0, err
		}
	}
	return rate(n*each, began), nil
}

// watched is how much memory the server has, in MB, when so many have all rows and have been told of a change.
func (s *server) watched(watchers int) (float64, error) {
	var all []*conn
	defer func() {
		for _, c := range all {
			c.Close()
		}
	}()
	for range watchers {
		c, err := dial(filepath.Join(s.folder, "s"))
		if err != nil {
			return 0, err
		}
		all = append(all, c)
		if _, err := c.ask("monitor_cond", "bench", "m", map[string]any{"Item": []any{map[string]any{}}}); err != nil {
			return 0, err
		}
	}
	if err := s.insert(1_000_000, 1, false); err != nil {
		return 0, err
	}
	for _, c := range all {
		if _, _, err := c.skip(); err != nil {
			return 0, err
		}
	}
	return resident(s.command.Process.Pid)
}

// resident is a process's anonymous memory, in MB.
func resident(pid int) (float64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1000, err
		}
	}
	return 0, errors.New("no RssAnon")
}

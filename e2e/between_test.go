package e2e

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// between is a wire between who asks and an agent: it keeps what crosses, is cut, and stalls.
type between struct {
	at string // of which the agent is asked through it

	mu      sync.Mutex
	moves   sync.Cond
	stalled bool
	broken  bool
	conns   []net.Conn
	said    bytes.Buffer // by the agent
	asked   bytes.Buffer
	keeps   bool
}

// startBetween lays a wire to an agent: unix:FILE, tcp:HOST:PORT.
func startBetween(t *testing.T, agent string) *between {
	t.Helper()
	dir, err := os.MkdirTemp("", "ri")
	if err != nil {
		t.Fatal(err)
	}
	network, address, _ := strings.Cut(agent, ":")
	b := &between{at: "unix:" + filepath.Join(dir, "w")}
	b.moves.L = &b.mu
	l, err := net.Listen("unix", filepath.Join(dir, "w"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		b.stall(false)
		b.cut()
		os.RemoveAll(dir)
	})
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial(network, address)
			if err != nil {
				near.Close()
				continue
			}
			b.mu.Lock()
			b.conns = append(b.conns, near, far)
			if b.broken {
				near.Close()
				far.Close()
			}
			b.mu.Unlock()
			go b.carry(near, far, &b.asked)
			go b.carry(far, near, &b.said)
		}
	}()
	return b
}

func (b *between) carry(from, to net.Conn, into *bytes.Buffer) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		b.mu.Lock()
		for b.stalled {
			b.moves.Wait()
		}
		if b.keeps {
			into.Write(buf[:n])
		}
		b.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut ends all connections, at both ends, and those that come until it is mended.
func (b *between) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = true
	for _, c := range b.conns {
		c.Close()
	}
	b.conns = nil
}

func (b *between) mend() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = false
}

// stall has nothing cross any more, and neither end be told.
func (b *between) stall(yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stalled = yes
	b.moves.Broadcast()
}

// kept is what has crossed.
func (b *between) kept() (asked, said string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked.String(), b.said.String()
}

// raw speaks the protocol of an agent, without ri.
type raw struct {
	t    *testing.T
	conn net.Conn
	in   *json.Decoder
	last int
	// heard is told of all that the agent asks, which is answered if answers is set.
	heard   func(method string, params []json.RawMessage)
	answers bool
}

// speak connects to an agent and says hello.
func speak(t *testing.T, at string) *raw {
	t.Helper()
	network, address, _ := strings.Cut(at, ":")
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r := &raw{t: t, conn: conn, in: json.NewDecoder(conn), answers: true}
	if _, failed := r.call("ri_hello", map[string]any{"protocol": 1, "version": "(devel)"}); failed != "" {
		t.Fatal(failed)
	}
	return r
}

func (r *raw) say(v any) {
	r.t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		_, err = r.conn.Write(text)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// begin asks, and doesn't wait.
func (r *raw) begin(method string, params ...any) int {
	r.t.Helper()
	r.last++
	r.say(map[string]any{"id": r.last, "method": method, "params": append([]any{}, params...)})
	return r.last
}

// call asks, and gives what is answered; failed is the answer if it is an error.
func (r *raw) call(method string, params ...any) (result json.RawMessage, failed string) {
	r.t.Helper()
	id := r.begin(method, params...)
	for {
		m := r.next()
		if m.Method != "" || string(m.ID) != string(mustJSON(r.t, id)) {
			continue
		}
		if string(m.Error) != "null" && len(m.Error) > 0 {
			return nil, string(m.Error)
		}
		return m.Result, ""
	}
}

type rawMessage struct {
	ID, Result, Error json.RawMessage
	Method            string
	Params            []json.RawMessage
}

// next reads a message, and answers it if it asks.
func (r *raw) next() (m rawMessage) {
	r.t.Helper()
	if err := r.in.Decode(&m); err != nil {
		r.t.Fatalf("the agent: %v", err)
	}
	if m.Method != "" {
		if r.heard != nil {
			r.heard(m.Method, m.Params)
		}
		if string(m.ID) != "null" && r.answers {
			r.say(map[string]any{"id": m.ID, "result": map[string]any{}, "error": nil})
		}
	}
	return m
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// rawRequest is a command line taken apart, as an asker's ri does: --NAME=VALUE, the command's words, and after : its
// arguments.
func rawRequest(words ...string) map[string]any {
	command, flags, args := []string{}, []any{}, []string{}
	for _, w := range words {
		name, value, isFlag := strings.Cut(strings.TrimPrefix(w, "--"), "=")
		switch {
		case strings.HasPrefix(w, "--") && isFlag:
			flags = append(flags, map[string]string{"name": name, "value": value})
		case strings.HasPrefix(w, ":"):
			args = append(args, w[1:])
		default:
			command = append(command, w)
		}
	}
	return map[string]any{"command": command, "flags": flags, "args": args, "folder": "/"}
}

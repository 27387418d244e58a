package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// natsServer is a NATS server of a test's own.
type natsServer struct {
	pid     int
	client  string // HOST:PORT of each of its listeners
	monitor string // the URL of its monitoring API
}

// startNATS starts a server that listens wherever there is a free port and tells where in a file.
func startNATS(t *testing.T, version, config string) natsServer {
	t.Helper()
	exe := buildProgram(t, "nats-"+version, "github.com/nats-io/nats-server/v2")
	folder := t.TempDir()
	file := filepath.Join(folder, "nats.conf")
	text := fmt.Sprintf("listen: 127.0.0.1:-1\nhttp: 127.0.0.1:-1\nports_file_dir: %q\nping_interval: "+
		"\"1h\"\nwrite_deadline: \"1h\"\n", folder) + config
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "$DATA", folder)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := background(t, exe, "-c", file)
	var ports struct{ Nats, Monitoring []string }
	err := eventually("the NATS server says where it listens", func() (bool, error) {
		files, _ := filepath.Glob(filepath.Join(folder, "*.ports"))
		if len(files) == 0 {
			return false, nil
		}
		text, err := os.ReadFile(files[0])
		return err == nil && json.Unmarshal(text, &ports) == nil && len(ports.Nats) > 0, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(ports.Nats[0])
	if err != nil {
		t.Fatal(err)
	}
	return natsServer{cmd.Process.Pid, u.Host, ports.Monitoring[0]}
}

// natsClient speaks the protocol of NATS clients.
type natsClient struct {
	t     *testing.T
	conn  net.Conn
	in    *bufio.Reader
	mu    sync.Mutex
	pongs chan bool
	heard chan string // messages' payloads, as many as there is room for
}

// connect makes a client. One that is deaf reads nothing once it is connected.
func (s natsServer) connect(t *testing.T, name, options string, deaf bool) *natsClient {
	t.Helper()
	conn, err := net.Dial("tcp", s.client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &natsClient{t: t, conn: conn, in: bufio.NewReader(conn), pongs: make(chan bool, 100),
		heard: make(chan string, 10000)}
	c.send("CONNECT {\"verbose\":false,\"name\":%q,\"lang\":\"go\",\"headers\":true%s}\r\nPING\r\n", name, options)
	for c.line() != "PONG" {
	}
	if !deaf {
		conn.SetReadDeadline(time.Time{})
		go c.listen()
		return c
	}
	// for the round trip: without an answer the server would ask again whenever it is asked about this client
	for c.line() != "PING" {
	}
	c.send("PONG\r\n")
	return c
}

func (c *natsClient) send(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.conn, format, args...)
}

func (c *natsClient) line() string {
	c.conn.SetReadDeadline(time.Now().Add(patience))
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Error(err)
	}
	return strings.TrimSpace(line)
}

func (c *natsClient) listen() {
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(line)
		switch words[0] {
		case "PING":
			c.send("PONG\r\n")
		case "PONG":
			c.pongs <- true
		case "MSG", "HMSG":
			var size int
			fmt.Sscan(words[len(words)-1], &size)
			payload := make([]byte, size+2)
			for n := 0; n < len(payload); {
				m, err := c.in.Read(payload[n:])
				if err != nil {
					return
				}
				n += m
			}
			select {
			case c.heard <- string(payload[:size]):
			default:
			}
		}
	}
}

// flush waits until the server has seen all that was sent.
func (c *natsClient) flush() {
	c.t.Helper()
	c.send("PING\r\n")
	select {
	case <-c.pongs:
	case <-time.After(patience):
		c.t.Error("no PONG")
	}
}

func (c *natsClient) publish(subject, payload string) {
	c.send("PUB %s %d\r\n%s\r\n", subject, len(payload), payload)
}

// request asks JetStream; its answer must be no error.
func (c *natsClient) request(subject, payload string) string {
	c.t.Helper()
	c.send("PUB %s answers.%p %d\r\n%s\r\n", subject, c, len(payload), payload)
	select {
	case answer := <-c.heard:
		if strings.Contains(answer, `"error"`) {
			c.t.Fatalf("%s %s: %s", subject, payload, answer)
		}
		return answer
	case <-time.After(patience):
		c.t.Fatalf("%s: no answer", subject)
	}
	return ""
}

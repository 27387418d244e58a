package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Load is the built-in load: clients that read and write objects.
type Load struct {
	address string
	config  *Config
	clients []*Client
	frozen  atomic.Bool // send nothing for now
	stop    chan struct{}
	group   sync.WaitGroup
}

// Client is one client of the load: it keeps a session open, and opens
// another one when it breaks.
type Client struct {
	load *Load
	id   int
	name string
	next uint64 // number of its next request

	mu      sync.Mutex
	conn    net.Conn         // nil while there is none
	waiting map[uint64]Op    // requests sent and not answered, by tag
	session atomic.Uint64    // the session's id at the server; 0 if none
	slots   chan struct{}    // one element for each request waiting
	sent    atomic.Uint64    // requests
	ok      atomic.Uint64    // answers
	failed  atomic.Uint64    // answers that are errors
	lost    atomic.Uint64    // requests whose session ended before the answer
	redials atomic.Uint64    // sessions after the first
	errors  chan<- clientErr // where it complains
}

// clientErr is a complaint of a client.
type clientErr struct {
	client string
	err    error
}

func startLoad(address string, c *Config) *Load {
	l := &Load{address: address, config: c, stop: make(chan struct{})}
	complaints := make(chan clientErr, 16)
	go func() {
		for e := range complaints {
			log.Printf("%s: %v", e.client, e.err)
		}
	}()
	for i := 0; i < c.loadClients; i++ {
		client := &Client{
			load:    l,
			id:      i,
			name:    fmt.Sprintf("client-%d", i),
			waiting: make(map[uint64]Op),
			slots:   make(chan struct{}, c.loadWindow),
			errors:  complaints,
		}
		l.clients = append(l.clients, client)
		l.group.Add(1)
		go client.run()
	}
	return l
}

// outstanding is the number of requests sent and not answered.
func (l *Load) outstanding() int {
	n := 0
	for _, c := range l.clients {
		c.mu.Lock()
		n += len(c.waiting)
		c.mu.Unlock()
	}
	return n
}

// freeze has the clients send nothing, and waits a little for the answers to
// what they have sent. It returns the number of answers still missing.
func (l *Load) freeze(patience time.Duration) int {
	l.frozen.Store(true)
	// A client that just looked at the flag may send one more.
	time.Sleep(20 * time.Millisecond)
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if n := l.outstanding(); n == 0 || time.Now().After(deadline) {
			return n
		}
	}
}

func (l *Load) close() {
	close(l.stop)
	for _, c := range l.clients {
		c.hangUp(nil)
	}
	l.group.Wait()
}

// run sends requests at the client's part of the rate.
func (c *Client) run() {
	defer c.load.group.Done()
	period := time.Second * time.Duration(c.load.config.loadClients) / time.Duration(c.load.config.loadRate)
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-c.load.stop:
			c.hangUp(nil)
			return
		case <-ticker.C:
		}
		if c.load.frozen.Load() {
			continue
		}
		if err := c.connect(); err != nil {
			c.complain(err)
			select {
			case <-c.load.stop:
			case <-time.After(500 * time.Millisecond):
			}
			continue
		}
		select {
		case c.slots <- struct{}{}:
			if err := c.request(); err != nil {
				c.complain(err)
			}
		default: // its window is full
		}
	}
}

func (c *Client) complain(err error) {
	select {
	case c.errors <- clientErr{c.name, err}:
	default:
	}
}

// connect opens a session, if there is none.
func (c *Client) connect() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		return nil
	}
	conn, err := net.DialTimeout("tcp", c.load.address, 2*time.Second)
	if err != nil {
		return err
	}
	conn.SetDeadline(time.Now().Add(2 * time.Second))
	reader := bufio.NewReader(conn)
	_, err = fmt.Fprintf(conn, "HELLO %s\n", c.name)
	var line string
	if err == nil {
		line, err = reader.ReadString('\n')
	}
	if err == nil && !strings.HasPrefix(line, "WELCOME ") {
		err = fmt.Errorf("want WELCOME, got %q", line)
	}
	if err != nil {
		conn.Close()
		return err
	}
	conn.SetDeadline(time.Time{})
	session, _ := strconv.ParseUint(strings.TrimSpace(strings.TrimPrefix(line, "WELCOME ")), 10, 64)
	if c.session.Swap(session) != 0 {
		c.redials.Add(1)
	}
	c.conn = conn
	go c.receive(conn, reader)
	return nil
}

// request sends the next request: of eight, six read, one writes one of the
// objects that were there at the start, one writes or deletes one of its own.
func (c *Client) request() error {
	n := c.next
	c.next++
	config := c.load.config
	h := mix(config.seed+uint64(c.id)+1, n)
	name := fmt.Sprintf("load/%s/object-%03d", c.name, h>>16%100)
	op := OpPut
	if config.objects > 0 && h%8 != 0 {
		name = seedName(config.seed, int(h>>16%uint64(config.objects)))
		if h%8 > 1 {
			op = OpGet
		}
	} else if h>>8%4 == 0 {
		op = OpDelete
	}
	text := fmt.Sprintf("GET %d %s\n", n, url.PathEscape(name))
	switch op {
	case OpDelete:
		text = fmt.Sprintf("DELETE %d %s\n", n, url.PathEscape(name))
	case OpPut:
		data := make([]byte, h>>24%uint64(4*config.units*config.blockSize))
		fill(data, h)
		text = fmt.Sprintf("PUT %d %s %d\n%s", n, url.PathEscape(name), len(data), data)
	}
	c.mu.Lock()
	conn := c.conn
	if conn == nil {
		c.mu.Unlock()
		<-c.slots
		return nil
	}
	c.waiting[n] = op
	c.mu.Unlock()
	c.sent.Add(1)
	conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		c.hangUp(conn)
		return err
	}
	return nil
}

// receive reads answers until the session ends.
func (c *Client) receive(conn net.Conn, reader *bufio.Reader) {
	for {
		line, err := reader.ReadString('\n')
		words := strings.Fields(line)
		if err == nil && len(words) < 3 {
			err = fmt.Errorf("bad answer %q", line)
		}
		var tag uint64
		if err == nil {
			tag, err = strconv.ParseUint(words[1], 10, 64)
		}
		if err == nil && words[0] == "OK" {
			var length int64
			length, err = strconv.ParseInt(words[2], 10, 64)
			if err == nil {
				_, err = io.CopyN(io.Discard, reader, length)
			}
		}
		if err != nil {
			if c.hangUp(conn) {
				c.complain(fmt.Errorf("session %d ended: %v", c.session.Load(), err))
			}
			return
		}
		c.mu.Lock()
		_, expected := c.waiting[tag]
		delete(c.waiting, tag)
		c.mu.Unlock()
		if !expected {
			continue
		}
		<-c.slots
		if words[0] == "OK" {
			c.ok.Add(1)
		} else {
			c.failed.Add(1)
		}
	}
}

// hangUp closes the connection, if it still is the client's; nil means
// whichever it has. It says whether it was.
func (c *Client) hangUp(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil || conn != nil && c.conn != conn {
		return false
	}
	c.conn.Close()
	c.conn = nil
	for tag := range c.waiting {
		delete(c.waiting, tag)
		c.lost.Add(1)
		<-c.slots
	}
	return true
}

// Command serving does what it is told to (http, client, dns, sql, tls, lock, slow, errors), and says what it did: a list
// of lines.
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

var certificate = certify()

func main() {
	sql.Register("tiny", tiny{})
	does := map[string]func() []string{"http": func() []string { return serveHTTP(true) },
		"client": func() []string { return serveHTTP(false) }, "dns": lookups, "sql": statements, "tls": handshakes, "lock": waits,
		"slow": func() []string { return calls(true) }, "errors": func() []string { return calls(false) }}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		json.NewEncoder(os.Stdout).Encode(does[in.Text()]())
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func certify() tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	as := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	return tls.Certificate{PrivateKey: key, Certificate: [][]byte{must(x509.CreateCertificate(rand.Reader, as, as,
		&key.PublicKey, key))}}
}

// serveHTTP makes requests of a server of its own, over HTTP/1 and HTTP/2: what the client sees of those that were
// answered, as the server says it or as the client does; and one that nobody answers.
func serveHTTP(asServer bool) (did []string) {
	for _, two := range []bool{false, true} {
		server := &http.Server{Handler: http.HandlerFunc(handle), TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{certificate}}}
		l := must(net.Listen("tcp", "127.0.0.1:0"))
		base := "http://" + l.Addr().String()
		if two {
			base = "https://" + l.Addr().String()
			go server.ServeTLS(l, "", "")
		} else {
			go server.Serve(l)
		}
		transport := &http.Transport{ForceAttemptHTTP2: two, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		for _, one := range [][2]string{{"GET", "/a"}, {"POST", "/teapot"}, {"GET", "/empty"}, {"PUT", "/long?secret=1"}} {
			request := must(http.NewRequest(one[0], base+one[1], nil))
			answer := must(transport.RoundTrip(request))
			body := must(io.ReadAll(answer.Body))
			if asServer {
				did = append(did, fmt.Sprint(answer.Proto, " ", one[0], " ", request.URL.Path, " ", answer.StatusCode,
					" ", len(body)))
			} else {
				did = append(did, fmt.Sprint(one[0], " ", request.URL.Host, " ", request.URL.Path, " ", answer.StatusCode,
					" false"))
			}
		}
		transport.CloseIdleConnections()
		server.Close()
		if !asServer {
			if _, err := (&http.Client{Transport: transport}).Head(base + "/gone"); err == nil {
				panic("a server that is closed answers")
			}
			did = append(did, fmt.Sprint("HEAD ", l.Addr(), " /gone <nil> true"))
		}
	}
	return did
}

func handle(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/teapot":
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "short and stout")
	case "/long":
		w.Write(make([]byte, 100_000))
	case "/a":
		fmt.Fprintf(w, "hello %s", r.URL.Path)
	}
}

// handshakes makes some, of which one fails: what both sides see.
func handshakes() (did []string) {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	defer l.Close()
	for _, config := range []*tls.Config{
		{ServerName: "a.test", InsecureSkipVerify: true},
		{ServerName: "b.test", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12},
		{ServerName: "a.test", InsecureSkipVerify: true, NextProtos: []string{"x", "h2"}},
		{ServerName: "a.test"},
	} {
		served := make(chan string)
		go func() {
			c := tls.Server(must(l.Accept()), &tls.Config{Certificates: []tls.Certificate{certificate},
				NextProtos: []string{"h2"}})
			served <- handshake("server", c)
			c.Close()
		}()
		c := tls.Client(must(net.Dial("tcp", l.Addr().String())), config)
		did = append(did, handshake("client", c), <-served)
		c.Close()
	}
	return did
}

func handshake(side string, c *tls.Conn) string {
	err := c.Handshake()
	c.Handshake() // again: it is no other
	s := c.ConnectionState()
	return fmt.Sprint(side, " ", s.ServerName, " ", tls.VersionName(s.Version), " ", s.NegotiatedProtocol, " ", err != nil)
}

// tiny is a driver of database/sql that refuses more than two values.
type tiny struct{}

func (tiny) Open(string) (driver.Conn, error)          { return tiny{}, nil }
func (tiny) Prepare(string) (driver.Stmt, error)       { return tiny{}, nil }
func (tiny) Close() error                              { return nil }
func (tiny) Begin() (driver.Tx, error)                 { return tiny{}, nil }
func (tiny) Commit() error                             { return nil }
func (tiny) Rollback() error                           { return nil }
func (tiny) NumInput() int                             { return -1 }
func (tiny) Columns() []string                         { return []string{"id"} }
func (tiny) Next([]driver.Value) error                 { return io.EOF }
func (tiny) Query([]driver.Value) (driver.Rows, error) { return tiny{}, nil }
func (tiny) Exec(values []driver.Value) (driver.Result, error) {
	if len(values) > 2 {
		return nil, errors.New("too many values")
	}
	return driver.RowsAffected(1), nil
}

// statements has some answered: of the database, prepared, and in a transaction.
func statements() (did []string) {
	db := must(sql.Open("tiny", ""))
	defer db.Close()
	say := func(kind, statement string, values int, err error) {
		did = append(did, fmt.Sprint(kind, " ", statement, " ", values, " ", err != nil))
	}
	for n := range 4 {
		statement := fmt.Sprintf("SELECT id FROM t%d WHERE n = ?", n)
		must(db.Query(statement, n)).Close()
		say("query", statement, 1, nil)
		_, err := db.Exec("UPDATE t SET a = ?", make([]any, n)...)
		say("exec", "UPDATE t SET a = ?", n, err)
	}
	prepared := must(db.Prepare("SELECT prepared"))
	must(prepared.Query()).Close()
	say("query", "SELECT prepared", 0, nil)
	must(prepared.Exec(1))
	say("exec", "SELECT prepared", 1, nil)
	tx := must(db.Begin())
	must(tx.Exec("INSERT INTO t", 1))
	say("exec", "INSERT INTO t", 1, nil)
	_, err := tx.Exec("INSERT INTO t2 VALUES ('it''s', -7, $1, 0x1F)", 1)
	say("exec", "INSERT INTO t2 VALUES (?, -?, $1, ?)", 1, err)
	tx.Commit()
	return did
}

// waits has goroutines wait for locks that are held for 20 ms once they wait.
func waits() (did []string) {
	var mu sync.Mutex
	var rw sync.RWMutex
	word := func(lock unsafe.Pointer, off uintptr) int32 { return atomic.LoadInt32((*int32)(unsafe.Add(lock, off))) }
	const readerCount, readerWait, maxReaders = 16, 20, 1 << 30 // of RWMutex
	for _, one := range []struct {
		kind       string
		at         unsafe.Pointer
		hold, free func()
		wait       func(chan bool)
		waits      func() bool
	}{
		{"Mutex", unsafe.Pointer(&mu), mu.Lock, mu.Unlock, func(done chan bool) { wait(&mu, done) },
			func() bool { return word(unsafe.Pointer(&mu), 0)>>3 != 0 }},
		{"RWMutex.RLock", unsafe.Pointer(&rw), rw.Lock, rw.Unlock, func(done chan bool) { waitRead(&rw, done) },
			func() bool { return word(unsafe.Pointer(&rw), readerCount) > -maxReaders }},
		{"RWMutex.Lock", unsafe.Pointer(&rw), rw.RLock, rw.RUnlock, func(done chan bool) { waitWrite(&rw, done) },
			func() bool { return word(unsafe.Pointer(&rw), readerWait) > 0 }},
	} {
		for range 3 {
			one.hold()
			done := make(chan bool)
			go one.wait(done)
			for !one.waits() {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(20 * time.Millisecond)
			one.free()
			<-done
			by := map[string]string{"Mutex": "wait", "RWMutex.RLock": "waitRead", "RWMutex.Lock": "waitWrite"}[one.kind]
			did = append(did, fmt.Sprintf("%s %p main.%s", one.kind, one.at, by))
		}
	}
	return did
}

//go:noinline
func wait(mu *sync.Mutex, done chan bool) {
	mu.Lock()
	mu.Unlock()
	done <- true
}

//go:noinline
func waitRead(mu *sync.RWMutex, done chan bool) {
	mu.RLock()
	mu.RUnlock()
	done <- true
}

//go:noinline
func waitWrite(mu *sync.RWMutex, done chan bool) {
	mu.Lock()
	mu.Unlock()
	done <- true
}

// calls makes some: those that take long, or those that give an error.
func calls(slow bool) (did []string) {
	for id := range 6 {
		tenant := fmt.Sprintf("t%d", id%2)
		_, err := find(tenant, id, slow && id%3 == 1)
		if slow && id%3 == 1 || !slow && err != nil {
			did = append(did, fmt.Sprintf("tenant=%q id=%d slow=%v failed=%v", tenant, id, slow, err != nil))
		}
	}
	return did
}

//go:noinline
func find(tenant string, id int, slow bool) (found string, err error) {
	if slow {
		time.Sleep(300 * time.Millisecond)
	}
	if id%2 == 1 {
		return "", fmt.Errorf("finding %d: %w", id, os.ErrNotExist)
	}
	return tenant, nil
}

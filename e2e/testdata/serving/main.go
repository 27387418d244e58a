// Command serving does what it is told to (http, sql, tls, lock, slow, errors), and says what it did: a list of lines.
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
	does := map[string]func() []string{"http": serveHTTP, "sql": statements, "tls": handshakes, "lock": waits,
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

// serveHTTP makes requests of a server of its own, over HTTP/1 and HTTP/2: what the client sees.
func serveHTTP() (did []string) {
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
			did = append(did, fmt.Sprint(answer.Proto, " ", one[0], " ", request.URL.Path, " ", answer.StatusCode,
				" ", len(body)))
		}
		transport.CloseIdleConnections()
		server.Close()
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
	tx.Commit()
	return did
}

// waits has goroutines wait for a lock that is held for 20 ms once they wait.
func waits() (did []string) {
	var mu sync.Mutex
	for range 5 {
		mu.Lock()
		done := make(chan bool)
		go wait(&mu, done)
		for atomic.LoadInt32((*int32)(unsafe.Pointer(&mu)))>>3 == 0 { // the number of those who wait
			time.Sleep(time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond)
		mu.Unlock()
		<-done
		did = append(did, "main.wait")
	}
	return did
}

//go:noinline
func wait(mu *sync.Mutex, done chan bool) {
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

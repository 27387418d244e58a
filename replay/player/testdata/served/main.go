// Command served is a server that knows nothing of ri: it answers over HTTP, with the time, with random bytes, and with
// what it asks of another server.
package main

import (
	"bufio"
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

var (
	store  = flag.String("store", "", "the server that is asked")
	secure = flag.Bool("store-tls", false, "it is asked over TLS")
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where it listens")
	cert := flag.String("cert", "", "a certificate: HTTPS")
	key := flag.String("key", "", "its key")
	clients := flag.String("clients", "", "who signs for its clients: it has none without a certificate")
	flag.Parse()
	http.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s of %d bytes from %s\n", greeting(r.URL.Query().Get("name")), r.Method, len(body), r.RemoteAddr)
	})
	http.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, 16)
		crand.Read(b)
		fmt.Fprintf(w, "%x\n", b)
	})
	http.HandleFunc("/second", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, time.Now().Unix())
	})
	http.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
		time.Sleep(time.Duration(ms) * time.Millisecond)
		fmt.Fprintln(w, "late")
	})
	http.HandleFunc("/get", get)
	http.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, r.TLS.PeerCertificates[0].Subject)
	})
	server := &http.Server{}
	if *clients != "" {
		text, err := os.ReadFile(*clients)
		if err != nil {
			log.Fatal(err)
		}
		trusted := x509.NewCertPool()
		trusted.AppendCertsFromPEM(text)
		server.TLSConfig = &tls.Config{ClientCAs: trusted, ClientAuth: tls.RequireAndVerifyClientCert}
	}
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	done := make(chan bool)
	go func() {
		<-signals
		server.Shutdown(context.Background())
		close(done)
	}()
	fmt.Println("listens at", ln.Addr())
	if *cert != "" {
		err = server.ServeTLS(ln, *cert, *key)
	} else {
		err = server.Serve(ln)
	}
	if err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-done
}

// pool are connections to the store that nobody uses.
var pool struct {
	sync.Mutex
	free []net.Conn
}

// get asks the store, over a connection of the pool.
func get(w http.ResponseWriter, r *http.Request) {
	w.Header()["Date"] = nil // requests that race may see either second, where one ends
	pool.Lock()
	var c net.Conn
	if n := len(pool.free); n > 0 {
		c, pool.free = pool.free[n-1], pool.free[:n-1]
	}
	pool.Unlock()
	var err error
	if c == nil {
		if *secure {
			c, err = tls.Dial("tcp", *store, nil)
		} else {
			c, err = net.Dial("tcp", *store)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
	}
	fmt.Fprintf(c, "GET %s\n", r.URL.Query().Get("key"))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	pool.Lock()
	pool.free = append(pool.free, c)
	pool.Unlock()
	fmt.Fprint(w, line)
}

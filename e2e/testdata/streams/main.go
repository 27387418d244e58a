// Streams is a server that answers what it is sent, or a random token, and dials itself when it is asked to. SIGTERM ends it.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"syscall"
)

// fault is put behind the third answer, where a build sets it.
var fault string

func main() {
	flag.String("password", "", "is not used")
	overTLS := flag.Bool("tls", false, "listen for HTTPS")
	flag.Parse()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	http.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			w.Write(body)
		}
	})
	answers := 0
	http.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		text := rand.Text()
		if answers++; answers == 3 {
			text += fault
		}
		fmt.Fprintln(w, text)
	})
	http.HandleFunc("/dial", func(w http.ResponseWriter, r *http.Request) {
		resp, err := http.Post("http://"+l.Addr().String()+"/echo", "text/plain", r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		io.Copy(w, resp.Body)
		resp.Body.Close()
	})
	server := &http.Server{}
	if *overTLS {
		// The certificate of package httptest, for tests.
		s := httptest.NewUnstartedServer(http.DefaultServeMux)
		s.Listener.Close()
		s.Listener = l
		s.StartTLS()
	} else {
		go server.Serve(l)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	fmt.Println("listening at", l.Addr())
	<-end
	server.Shutdown(context.Background())
}

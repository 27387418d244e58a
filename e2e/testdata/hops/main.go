// Command hops is a gateway, or the store behind it, of which the tests follow flows: gateway ADDRESS STORE, store
// ADDRESS. The gateway takes GET /order?id=N&tenant=T and asks the store by a line of TCP.
package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// Request is what a gateway was asked.
type Request struct {
	ID     int
	Tenant string
	Path   string
	Secret string
}

// Query is what a store is asked.
type Query struct {
	ID  int
	Key string
}

// Gateway asks a store.
type Gateway struct{ store string }

//go:noinline
func (g *Gateway) handle(r *Request) (string, error) {
	if !allowed(r) {
		return "", fmt.Errorf("not allowed")
	}
	answers := make(chan string, 1)
	go ask(g.store, r, answers)
	answer := <-answers
	return render(answer), nil
}

//go:noinline
func allowed(r *Request) bool { return r.ID >= 0 && r.Secret != "" }

//go:noinline
func render(answer string) string { return strings.ToUpper(answer) }

//go:noinline
func ask(store string, r *Request, answers chan<- string) {
	conn, err := net.Dial("tcp", store)
	if err != nil {
		answers <- err.Error()
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%d %s\n", r.ID, r.Path)
	line, _ := bufio.NewReader(conn).ReadString('\n')
	answers <- strings.TrimSpace(line)
}

// Store answers queries.
type Store struct{ served int }

//go:noinline
func (s *Store) serve(q *Query) string {
	s.served++
	return s.read(q)
}

//go:noinline
func (s *Store) read(q *Query) string { return fmt.Sprintf("order %d of %s", q.ID, q.Key) }

func main() {
	l, err := net.Listen("tcp", os.Args[2])
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(os.Stderr, "listening at", l.Addr())
	if os.Args[1] == "store" {
		s := &Store{}
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				line, _ := bufio.NewReader(conn).ReadString('\n')
				id, key, _ := strings.Cut(strings.TrimSpace(line), " ")
				n, _ := strconv.Atoi(id)
				fmt.Fprintln(conn, s.serve(&Query{ID: n, Key: key}))
			}()
		}
	}
	g := &Gateway{store: os.Args[3]}
	panic(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, h *http.Request) {
		n, _ := strconv.Atoi(h.FormValue("id"))
		text, err := g.handle(&Request{ID: n, Tenant: h.FormValue("tenant"), Path: h.URL.Path, Secret: "s3cret"})
		if err != nil {
			http.Error(w, err.Error(), 403)
			return
		}
		fmt.Fprintln(w, text)
	})))
}

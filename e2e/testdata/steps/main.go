// Command steps serves requests of net/http that do parts of their work in goroutines, and makes as many of them as a
// line on its standard input says, eight at a time. It says then that it is done.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
)

//go:noinline
func lookup(key string) string { return key + "!" }

//go:noinline
func audit(key string, done *sync.WaitGroup) {
	defer done.Done()
	lookup(key)
}

//go:noinline
func handle(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Query().Get("key")
	var parts sync.WaitGroup
	parts.Add(2)
	for i := 0; i < 2; i++ {
		go audit(key, &parts)
	}
	parts.Wait()
	if _, err := io.WriteString(w, lookup(key)); err != nil {
		os.Exit(1)
	}
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	http.HandleFunc("/", handle)
	go func() { check(http.Serve(l, nil)) }()
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		n := 0
		fmt.Sscan(in.Text(), &n)
		var all sync.WaitGroup
		for j := 0; j < 8; j++ {
			j := j
			all.Add(1)
			go func() {
				defer all.Done()
				for i := j; i < n; i += 8 {
					lookup("nobody's")
					r, err := http.Get(fmt.Sprintf("http://%s/?key=%d", l.Addr(), i))
					check(err)
					_, err = io.Copy(io.Discard, r.Body)
					check(err)
					check(r.Body.Close())
				}
			}()
		}
		all.Wait()
		fmt.Println("done")
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// What nobody closes.

// serve answers on an address of its own.
func serve(handle http.HandlerFunc) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, handle)
	return listener.Addr().String()
}

// large answers with more than any buffer takes.
func large(w http.ResponseWriter, _ *http.Request) {
	w.Write(make([]byte, 8<<20))
}

// begin asks for a large answer and reads the beginning of it.
//
//go:noinline
func begin(client *http.Client, addr string) io.ReadCloser {
	return beginWith(context.Background(), client, addr)
}

//go:noinline
func beginWith(ctx context.Context, client *http.Client, addr string) io.ReadCloser {
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+addr, nil)
	if err != nil {
		panic(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		panic(err)
	}
	io.ReadFull(resp.Body, make([]byte, 10))
	return resp.Body
}

func init() {
	troubles["bodies"] = func() {
		addr := serve(large)
		done := make(chan bool)
		for range [12]int{} {
			go func() {
				begin(&http.Client{Transport: &http.Transport{}}, addr) // and no Close
				done <- true
			}()
			<-done
		}
		time.Sleep(waits)
	}
	troubles["rows"] = func() {
		db := sql.OpenDB(source{})
		kept = append(kept, db)
		done := make(chan bool)
		for range [12]int{} {
			go func() {
				ctx, _ := context.WithCancel(context.Background()) // nobody is left who cancels it
				rows, err := db.QueryContext(ctx, "all")
				if err != nil {
					panic(err)
				}
				rows.Next() // and no Close
				done <- true
			}()
			<-done
		}
		time.Sleep(waits)
	}
	// The same, of a client that is kept, for a context that somebody may cancel.
	troubles["bodies-kept"] = func() {
		addr := serve(large)
		client := &http.Client{Transport: &http.Transport{}}
		ctx, cancel := context.WithCancel(context.Background())
		kept = append(kept, client, cancel)
		done := make(chan bool)
		for range [6]int{} {
			go func() {
				beginWith(ctx, client, addr) // and no Close
				done <- true
			}()
			<-done
		}
		time.Sleep(waits)
	}
	troubles["rows-kept"] = func() {
		db := sql.OpenDB(source{})
		ctx, cancel := context.WithCancel(context.Background())
		kept = append(kept, db, cancel)
		done := make(chan bool)
		for range [6]int{} {
			go func() {
				rows, err := db.QueryContext(ctx, "all")
				if err != nil {
					panic(err)
				}
				rows.Next() // and no Close
				done <- true
			}()
			<-done
		}
		time.Sleep(waits)
	}
	troubles["deserted"] = func() {
		addr := serve(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
		for range [12]int{} {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				panic(err)
			}
			fmt.Fprintf(conn, "GET / HTTP/1.0\r\n\r\n") // the server closes after its answer, and this end never
			io.Copy(io.Discard, conn)
			kept = append(kept, conn)
		}
	}
	// Answers that somebody reads slowly, or has and will read.
	troubles["healthy-bodies"] = func() {
		addr := serve(large)
		client := &http.Client{Transport: &http.Transport{}}
		for range [8]int{} {
			body := begin(client, addr)
			go func() {
				for {
					time.Sleep(10 * time.Millisecond)
					if n, _ := io.ReadFull(body, make([]byte, 16)); n == 0 {
						body.Close()
						body = begin(client, addr)
					}
				}
			}()
			kept = append(kept, begin(client, addr))
		}
	}
	// Requests that all wait for the same.
	troubles["requests"] = func() {
		answer := make(chan int)
		kept = append(kept, answer)
		addr := serve(func(w http.ResponseWriter, _ *http.Request) { wait(answer) })
		for range [30]int{} {
			go http.Get("http://" + addr + "/orders")
		}
		time.Sleep(2 * waits)
	}
}

//go:noinline
func wait(answer chan int) { <-answer }

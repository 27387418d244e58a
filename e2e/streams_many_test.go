package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestStreamsMany records 300 connections at once: some send several requests in one go, some have large bodies, some
// close their half and read on, some are reset. Replayed, each gets what it got.
func TestStreamsMany(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.streams")
	recordedStreams(t, file, []string{"--payload", "--sent"}, nil, func(addr string) {
		var clients sync.WaitGroup
		for i := range 300 {
			clients.Go(func() {
				c, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				r := bufio.NewReader(c)
				answers := func(n int) {
					for range n {
						resp, err := http.ReadResponse(r, nil)
						if err == nil {
							_, err = io.Copy(io.Discard, resp.Body)
						}
						if err != nil {
							t.Error(err)
							return
						}
					}
				}
				request := func(body string) string {
					return fmt.Sprintf("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				}
				io.WriteString(c, request(fmt.Sprint("hello from ", i)))
				answers(1)
				switch i % 4 {
				case 0:
					io.WriteString(c, strings.Repeat(request(fmt.Sprint("again from ", i)), 10))
					answers(10)
				case 1:
					io.WriteString(c, request(strings.Repeat(fmt.Sprint(i), 20_000)))
					answers(1)
				case 2:
					io.WriteString(c, request("the last"))
					c.(*net.TCPConn).CloseWrite()
					answers(1)
					io.Copy(io.Discard, r)
				case 3:
					c.(*net.TCPConn).SetLinger(0)
				}
			})
		}
		clients.Wait()
	})
	if r := replayStreams(t, file); !r.Same || r.Equal < 300+75*12 {
		t.Errorf("%+v", r)
	}
}

// TestStreamsTarget records the gateway of examples/target, which keeps what it is given with three stores by a
// protocol of its own, and replays it without them.
func TestStreamsTarget(t *testing.T) {
	exe, err := buildTarget("local")
	if err != nil {
		t.Fatal(err)
	}
	var stores []string
	var started []*program
	for i := range 3 {
		p := startTarget(t, "local", "-role", "store", "-services", "1", "-first-service", fmt.Sprint(i))
		started, stores = append(started, p), append(stores, p.facts["store"])
	}
	file := filepath.Join(t.TempDir(), "gateway.streams")
	recordedProgram(t, file, []string{"--payload"}, []string{exe, "-role", "gateway", "-objects", "50", "-store",
		strings.Join(stores, ",")}, "NOTHING=", func(addr string) {
		for i := range 20 {
			name := fmt.Sprintf("http://%s/o/new%d", addr, i)
			for _, method := range []string{"PUT", "GET"} {
				req, _ := http.NewRequest(method, name, strings.NewReader(fmt.Sprint("content ", i)))
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				text, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if method == "GET" && string(text) != fmt.Sprint("content ", i) {
					t.Errorf("%s has %q", name, text)
				}
			}
		}
	})
	for _, p := range started {
		p.end()
	}
	if r := replayStreams(t, file); !r.Same || r.Equal < 100 {
		t.Errorf("%+v", r)
	}
}

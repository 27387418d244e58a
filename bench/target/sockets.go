//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

// dataCalls writes and reads back so many bytes over a TCP connection to itself, so many times; the CPU that it costs
// this thread and how long it takes, in ns.
func dataCalls(size, n int) string {
	a, b, err := pair()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return "0 0"
	}
	defer syscall.Close(a)
	defer syscall.Close(b)
	buf := make([]byte, size)
	return bursts(n, func(int64) {
		moved(syscall.Write(a, buf))
		for got := 0; got < size; {
			got += moved(syscall.Read(b, buf[got:]))
		}
	})
}

func moved(n int, err error) int {
	if err != nil || n <= 0 {
		panic(fmt.Sprint("a socket: ", n, err))
	}
	return n
}

// pair is a TCP connection to itself, of descriptors that block.
func pair() (a, b int, err error) {
	ln, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return 0, 0, err
	}
	defer syscall.Close(ln)
	if err := syscall.Bind(ln, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, 0, err
	}
	at, err := syscall.Getsockname(ln)
	if err == nil {
		err = syscall.Listen(ln, 1)
	}
	if err == nil {
		a, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	}
	if err == nil {
		err = syscall.Connect(a, at)
	}
	if err == nil {
		b, _, err = syscall.Accept(ln)
	}
	return a, b, err
}

// serveHTTP answers requests with what they have in their bodies, until SIGTERM.
func serveHTTP() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	go server.Serve(ln)
	fmt.Println("listening at", ln.Addr())
	<-end
	return server.Shutdown(context.Background())
}

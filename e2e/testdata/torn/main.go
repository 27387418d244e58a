// Command torn serves three requests for ever, of which two aren't any more what they were: as a request looks that is
// read while it goes.
package main

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"unsafe"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	var there sync.WaitGroup
	there.Add(3)
	go http.Serve(l, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/long":
			(*[2]uintptr)(unsafe.Pointer(&r.Proto))[1] = 39006944
		case "/odd":
			r.Method = string([]byte{0xff, 0, 1})
		}
		there.Done()
		select {}
	}))
	for _, path := range []string{"/long", "/odd", "/whole"} {
		go http.Get("http://" + l.Addr().String() + path)
	}
	there.Wait()
	fmt.Println("ready")
	select {}
}

// outgoing makes requests that aren't done: of a server that doesn't answer, that doesn't end its answer, and one that
// waits for another's connection.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

func fetch(url string) {
	if r, err := http.Get(url); err == nil {
		io.Copy(io.Discard, r.Body)
	}
}

func post(c *http.Client, url string) {
	req, _ := http.NewRequest("POST", url, nil)
	c.Do(req)
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	came := make(chan bool)
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			w.(http.Flusher).Flush()
		}
		came <- true
		select {}
	}))
	server := "http://" + l.Addr().String()
	one := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	go fetch(server + "/slow?token=secret")
	go fetch(server + "/body")
	go post(one, server+"/first")
	for i := 0; i < 3; i++ {
		<-came
	}
	go post(one, server+"/queued")
	fmt.Println("ready")
	time.Sleep(time.Hour)
}

// Command proxy is a reverse proxy, or one of the services behind it, of which the tests follow flows, of the standard
// library alone: proxy front ADDRESS A B, proxy service ADDRESS. What begins with /a goes to A, all else to B.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
)

func main() {
	l, err := net.Listen("tcp", os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening at %s", l.Addr())
	if os.Args[1] == "service" {
		log.Fatal(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, "answer to", r.URL.Path)
		})))
	}
	services := []*httputil.ReverseProxy{}
	for _, at := range os.Args[3:] {
		services = append(services, httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: at}))
	}
	log.Fatal(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/a") {
			services[0].ServeHTTP(w, r)
		} else {
			services[1].ServeHTTP(w, r)
		}
	})))
}

// Command libovsdb has ri's OVSDB of a process looked at, and changed, by the library that Go programs use for Open
// vSwitch: METHOD DATABASE [CERTIFICATE]. It changes a timeout of the http.Server that listens, tells what it is told,
// and ends when it was told that the timeout is as it was again.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// HTTPServer is a row of the table http_servers.
type HTTPServer struct {
	UUID              string  `ovsdb:"_uuid"`
	Server            *string `ovsdb:"server"`
	Address           *string `ovsdb:"address"`
	ReadHeaderTimeout *int    `ovsdb:"read_header_timeout"`
}

// Goroutine is a row of the table goroutines.
type Goroutine struct {
	UUID  string  `ovsdb:"_uuid"`
	Count *int    `ovsdb:"count"`
	State *string `ovsdb:"state"`
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// site is how TLS is spoken by a file of ri pki: key, certificate, authority.
func site(path string) *tls.Config {
	text, err := os.ReadFile(path)
	must(err)
	own, err := tls.X509KeyPair(text, text)
	must(err)
	roots := x509.NewCertPool()
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		must(err)
		if cert.IsCA {
			roots.AddCert(cert)
		}
	}
	return &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: roots, MinVersion: tls.VersionTLS13}
}

func main() {
	quiet := logr.Discard()
	log.SetFlags(0)
	log.SetOutput(os.Stdout)
	method, database := os.Args[1], os.Args[2]
	described, err := model.NewClientDBModel(database, map[string]model.Model{
		"http_servers": &HTTPServer{}, "goroutines": &Goroutine{}})
	must(err)
	options := []client.Option{client.WithEndpoint(method), client.WithLogger(&quiet)}
	if len(os.Args) > 3 {
		options = append(options, client.WithTLSConfig(site(os.Args[3])))
	}
	c, err := client.NewOVSDBClient(described, options...)
	must(err)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	must(c.Connect(ctx))
	defer c.Close()

	heard := make(chan *HTTPServer, 16)
	c.Cache().AddEventHandler(&cache.EventHandlerFuncs{UpdateFunc: func(table string, _, now model.Model) {
		if table == "http_servers" {
			heard <- now.(*HTTPServer)
		}
	}})
	_, err = c.Monitor(ctx, c.NewMonitor(client.WithTable(&HTTPServer{}), client.WithTable(&Goroutine{})))
	must(err)
	var servers []HTTPServer
	must(c.List(ctx, &servers))
	var goroutines []Goroutine
	must(c.List(ctx, &goroutines))
	if len(servers) != 1 || len(goroutines) == 0 {
		log.Fatalf("%d servers, %d kinds of goroutines", len(servers), len(goroutines))
	}
	one := &servers[0]
	was, now := *one.ReadHeaderTimeout, int(7*time.Second)
	log.Printf("sees %s %v", *one.Address, time.Duration(was))

	// transact does operations, and tells what the first error of one is.
	transact := func(operations []ovsdb.Operation) string {
		results, err := c.Transact(ctx, operations...)
		must(err)
		if _, err := ovsdb.CheckOperationResults(results, operations); err == nil {
			return "done"
		}
		for _, r := range results {
			if r.Error != "" {
				return r.Error
			}
		}
		return "failed"
	}
	// change has the timeout be another, if it is the first still.
	change := func() string {
		atOnce := 0
		guard, err := c.Where(one).Wait(ovsdb.WaitConditionEqual, &atOnce, one, &one.ReadHeaderTimeout)
		must(err)
		next := *one
		next.ReadHeaderTimeout = &now
		update, err := c.Where(one).Update(&next, &next.ReadHeaderTimeout)
		must(err)
		return transact(append(guard, update...))
	}
	log.Printf("changes it: %s", change())
	until := func(want int) {
		for {
			select {
			case <-ctx.Done():
				log.Fatalf("nothing was heard of %v", time.Duration(want))
			case row := <-heard:
				if *row.ReadHeaderTimeout == want {
					log.Printf("hears %v", time.Duration(want))
					return
				}
			}
		}
	}
	until(now)
	log.Printf("again: %s", change())
	create, err := c.Create(&Goroutine{Count: &now})
	must(err)
	log.Printf("creates: %s", transact(create))
	until(was)
}

// Streams is a server that answers what it is sent, a random token, what it asks of others, or dials itself when it is
// asked to; over Unix sockets and with packets, too. SIGTERM ends it.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// fault is put behind the third answer, where a build sets it.
var fault string

func main() {
	flag.String("password", "", "is not used")
	path := flag.String("unix", "", "a Unix socket to listen at, too")
	packets := flag.String("packets", "", "a network and an address at which packets are answered")
	overTLS := flag.Bool("tls", false, "listen for HTTPS")
	two := flag.Bool("http2", false, "of HTTP/2, too")
	starts := flag.Bool("starttls", false, "listen for lines, too, which go on inside of TLS behind STARTTLS")
	flag.Parse()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	http.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil // requests that race may see either second, where one ends
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
	fetcher := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	http.HandleFunc("/fetch", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil // as above
		req, err := http.NewRequestWithContext(r.Context(), "POST", r.FormValue("url"), r.Body)
		if err == nil {
			req.Header.Set("Authorization", r.Header.Get("Authorization"))
			var resp *http.Response
			if resp, err = fetcher.Do(req); err == nil {
				defer resp.Body.Close()
				w.Header().Set("X-Protocol", resp.Proto)
				w.Header().Set("X-Customer", resp.Header.Get("X-Customer"))
				w.Header().Set("Set-Cookie", resp.Header.Get("Set-Cookie"))
				_, err = io.Copy(w, resp.Body)
			}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	})
	http.HandleFunc("/lookup", func(w http.ResponseWriter, r *http.Request) {
		resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			if r.FormValue("tcp") != "" {
				network = "tcp"
			}
			return new(net.Dialer).DialContext(ctx, network, r.FormValue("server"))
		}}
		addrs, err := resolver.LookupHost(r.Context(), r.FormValue("name"))
		fmt.Fprintln(w, addrs, err)
	})
	http.HandleFunc("/ask", func(w http.ResponseWriter, r *http.Request) {
		c, err := net.Dial(r.FormValue("network"), r.FormValue("address"))
		if err == nil {
			defer c.Close()
			_, err = io.WriteString(c, r.FormValue("text"))
		}
		answer := make([]byte, 1000)
		n := 0
		if err == nil && r.FormValue("blind") == "" {
			n, err = c.Read(answer)
		}
		fmt.Fprintf(w, "%q %v\n", answer[:n], err)
	})
	if *path != "" {
		unix, err := net.Listen("unix", *path)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		go http.Serve(unix, nil)
	}
	packetsAt := ""
	if network, address, ok := strings.Cut(*packets, " "); ok {
		c, err := net.ListenPacket(network, address)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		defer c.Close()
		packetsAt = c.LocalAddr().String()
		go func() {
			buf := make([]byte, 1000)
			for n := 1; ; n++ {
				size, from, err := c.ReadFrom(buf)
				if err != nil {
					return
				}
				fault := fault
				if n != 3 {
					fault = ""
				}
				c.WriteTo(fmt.Appendf(nil, "%s%s, number %d", buf[:size], fault, n), from)
			}
		}()
	}
	if *starts {
		c, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		packetsAt = c.Addr().String()
		go lines(c)
	}
	server := &http.Server{}
	if *overTLS {
		// The certificate of package httptest, for tests.
		s := httptest.NewUnstartedServer(http.DefaultServeMux)
		s.Listener.Close()
		s.Listener = l
		s.EnableHTTP2 = *two
		s.StartTLS()
		server = s.Config
	} else {
		go server.Serve(l)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	fmt.Println(strings.TrimSpace(fmt.Sprintln("listening at", l.Addr(), packetsAt)))
	<-end
	server.Shutdown(context.Background())
}

// lines greets, and answers lines with lines, inside of TLS once it was asked to.
func lines(l net.Listener) {
	with := httptest.NewUnstartedServer(nil)
	with.StartTLS()
	defer with.Close()
	for {
		raw, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer raw.Close()
			c := raw
			fmt.Fprintln(c, "220 hello")
			for in := bufio.NewReader(c); ; {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if strings.TrimSpace(line) != "STARTTLS" {
					fmt.Fprintf(c, "250 %s", line)
					continue
				}
				fmt.Fprintln(c, "220 go on")
				c = tls.Server(c, &tls.Config{Certificates: with.TLS.Certificates})
				in = bufio.NewReader(c)
			}
		}()
	}
}

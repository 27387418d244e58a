//go:build linux && amd64

package player

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ri/record/streams"
	"ri/symbols/testprogram"
)

// TestHTTP: what a server answered to requests, it answers again, dates included, and ends as it did.
func TestHTTP(t *testing.T) {
	var tape tape
	address, stop := tape.start(t, build(t))
	client := &http.Client{Transport: &http.Transport{DialContext: tape.dial, MaxIdleConnsPerHost: 1}}
	const requests = 100
	for i := range requests {
		ask(t, client, fmt.Sprintf("http://%s/hello?name=%d", address, i), strings.Repeat("x", i*100))
	}
	ask(t, client, "http://"+address+"/second", "")
	client.CloseIdleConnections()
	stop()
	r := replay(t, tape.file(t), Options{})
	if !r.Same() || r.Equal < requests+1 || r.Short > 0 {
		t.Errorf("%+v", *r)
	}
}

// ask makes a request and gives the answer.
func ask(t *testing.T, client *http.Client, url, body string) string {
	t.Helper()
	answer, err := client.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fakeStore answers what the program asks: GET KEY.
func fakeStore(t *testing.T, tape *tape, secure func(net.Conn) (net.Conn, error)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			raw, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				if secure != nil {
					if raw, err = secure(raw); err != nil {
						return
					}
				}
				c := tape.conn(raw, true)
				c.secure = secure != nil
				for r := bufio.NewReader(c); ; {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					fmt.Fprintf(c, "value of %s, as it is now\n", strings.TrimSpace(strings.TrimPrefix(line, "GET ")))
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// TestPool: what a program asks of a server over a pool of connections is answered by content, whichever connection it
// takes for it, and the server isn't there any more.
func TestPool(t *testing.T) {
	var tape tape
	store := fakeStore(t, &tape, nil)
	address, stop := tape.start(t, build(t), "-store", store)
	var clients sync.WaitGroup
	for n := range 4 {
		clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{DialContext: tape.dial, MaxIdleConnsPerHost: 1}}
			for i := range 20 {
				answer, err := client.Get(fmt.Sprintf("http://%s/get?key=%d-%d", address, n, i))
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
			client.CloseIdleConnections()
		})
	}
	clients.Wait()
	stop()
	r := replay(t, tape.file(t), Options{})
	if !r.Same() || r.Equal < 160 {
		t.Errorf("%+v", *r)
	}
}

// TestSamePort: a peer may have the port at which the program listens at all addresses.
func TestSamePort(t *testing.T) {
	for _, host := range []string{"192.0.2.7", "2001:db8::7"} {
		var tape tape
		store := fakeStore(t, &tape, nil)
		address, stop := tape.start(t, build(t), "-listen", ":0", "-store", store)
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{DialContext: tape.dial}}
		for i := range 5 {
			ask(t, client, fmt.Sprintf("http://127.0.0.1:%s/get?key=%d", port, i), "")
		}
		client.CloseIdleConnections()
		stop()
		peer := net.JoinHostPort(host, port)
		for i := range tape.events {
			if e := &tape.events[i]; e.Peer == store {
				e.Peer = peer
			}
		}
		for i, arg := range tape.header.Process.Args {
			switch arg {
			case ":0":
				tape.header.Process.Args[i] = ":" + port
			case store:
				tape.header.Process.Args[i] = peer
			}
		}
		if r := replay(t, tape.file(t), Options{}); !r.Same() || r.Equal != 10 {
			t.Errorf("%s: %+v", peer, *r)
		}
	}
}

// TestUnmatched: what the program asks of a server and didn't when it was recorded is told, and isn't answered.
func TestUnmatched(t *testing.T) {
	var tape tape
	store := fakeStore(t, &tape, nil)
	address, stop := tape.start(t, build(t), "-store", store)
	client := &http.Client{Transport: &http.Transport{DialContext: tape.dial}}
	ask(t, client, "http://"+address+"/get?key=this", "")
	ask(t, client, "http://"+address+"/get?key=that", "")
	client.CloseIdleConnections()
	stop()
	for i := range tape.events {
		if e := &tape.events[i]; e.Kind == streams.Out {
			e.Data = bytes.Replace(e.Data, []byte("GET that\n"), []byte("GET then\n"), 1)
		}
	}
	r := replay(t, tape.file(t), Options{Patience: 50 * time.Millisecond})
	if r.UnmatchedCount != 1 || len(r.Unmatched) != 1 || string(r.Unmatched[0].Replayed) != "GET that\n" ||
		string(r.Unmatched[0].Recorded) != "GET then\n" || r.Unmatched[0].Offset != len("GET th") {
		t.Errorf("%+v", r.Unmatched)
	}
	if r.Same() {
		t.Error("that is told to be the same")
	}
}

// TestFault: a binary with one fault is found, with the event and the first byte that differs; nothing else is told to
// differ.
func TestFault(t *testing.T) {
	var tape tape
	address, stop := tape.start(t, build(t))
	client := &http.Client{Transport: &http.Transport{DialContext: tape.dial}}
	for i := range 60 {
		ask(t, client, fmt.Sprintf("http://%s/hello?name=%d", address, i), "")
	}
	client.CloseIdleConnections()
	stop()
	fault := testprogram.Build(t, "testdata/served", testprogram.Variant{Name: "fault", Flags: []string{"-tags=fault"}})
	r := replay(t, tape.file(t), Options{Binary: fault})
	if r.Differing != 1 || len(r.Differences) != 1 || r.Missing != 0 || r.Equal < 59 {
		t.Fatalf("%+v", *r)
	}
	d := r.Differences[0]
	if !strings.Contains(string(d.Recorded), "hello 33") || !strings.Contains(string(d.Replayed), "hallo 33") ||
		string(tape.events[d.Event-1].Data[d.Offset:d.Offset+6]) != "ello 3" {
		t.Errorf("%+v: recorded %q, replayed %q", d, d.Recorded, d.Replayed)
	}
}

// TestSlow: what comes late by a timer is waited for, and the clock goes on meanwhile.
func TestSlow(t *testing.T) {
	var tape tape
	address, stop := tape.start(t, build(t))
	client := &http.Client{Transport: &http.Transport{DialContext: tape.dial}}
	for range 3 {
		ask(t, client, "http://"+address+"/slow?ms=300", "")
		ask(t, client, "http://"+address+"/second", "")
	}
	client.CloseIdleConnections()
	stop()
	if r := replay(t, tape.file(t), Options{}); !r.Same() || r.Short > 0 {
		t.Errorf("%+v", *r)
	}
}

// TestRandom: tokens are the recording's where it has random bytes; where it hasn't, they are the same in every replay,
// and others with --free-random.
func TestRandom(t *testing.T) {
	var tape tape
	address, stop := tape.start(t, build(t))
	client := &http.Client{Transport: &http.Transport{DialContext: tape.dial}}
	token := strings.TrimSpace(ask(t, client, "http://"+address+"/token", ""))
	client.CloseIdleConnections()
	stop()
	var came [][]byte
	for range 2 {
		r := replay(t, tape.file(t), Options{})
		if r.Differing != 1 || len(r.Differences) != 1 {
			t.Fatalf("%+v", *r)
		}
		came = append(came, r.Differences[0].Replayed)
	}
	if !bytes.Equal(came[0], came[1]) {
		t.Errorf("%q, and then %q", came[0], came[1])
	}
	if r := replay(t, tape.file(t), Options{FreeRandom: true}); r.Differing != 1 ||
		bytes.Equal(r.Differences[0].Replayed, came[0]) {
		t.Errorf("%+v", *r)
	}
	random, err := hex.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range tape.events {
		tape.events[i].Seq++
	}
	tape.events = append([]streams.Event{{Seq: 1, Kind: streams.Random, Size: 16, Data: random}}, tape.events...)
	if r := replay(t, tape.file(t), Options{}); !r.Same() {
		t.Errorf("%+v", *r)
	}
}

// TestRefused: whoever recorded doesn't say what is executed here, and a recording without bytes isn't played.
func TestRefused(t *testing.T) {
	var tape tape
	_, stop := tape.start(t, build(t))
	stop()
	good := tape.header
	for name, c := range map[string]struct {
		change func(h *streams.Header)
		want   error
	}{
		"another digest": {func(h *streams.Header) { h.Process.ExeSHA256 = strings.Repeat("0", 64) }, ErrBinary},
		"no digest":      {func(h *streams.Header) { h.Process.ExeSHA256 = "" }, ErrBinary},
		"no path":        {func(h *streams.Header) { h.Process.Exe = "bin/sh" }, ErrBinary},
		"not here":       {func(h *streams.Header) { h.Process.Exe = "/nowhere/at/all" }, ErrBinary},
		"a folder":       {func(h *streams.Header) { h.Process.Exe = "/" }, ErrBinary},
		"no payload":     {func(h *streams.Header) { h.Asked.Payload = false }, ErrNotPlayable},
	} {
		tape.header = good
		c.change(&tape.header)
		_, err := Replay(t.Context(), tape.file(t), Options{}, nil, io.Discard, io.Discard)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tape.header, tape.events = good, nil
	_, err := Replay(t.Context(), tape.file(t), Options{}, nil, io.Discard, io.Discard)
	if !errors.Is(err, ErrNotPlayable) {
		t.Errorf("no events: %v", err)
	}
}

// TestTLS: a server with TLS is played what was said inside of it, and what it dials with TLS is answered under a
// certificate that only it trusts. Files that were taken along are there.
func TestTLS(t *testing.T) {
	var tape tape
	cert, key := certificate(t)
	real, err := newAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	trusted := filepath.Join(t.TempDir(), "trusted.pem")
	if err := os.WriteFile(trusted, real.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", trusted)
	store := fakeStore(t, &tape, func(c net.Conn) (net.Conn, error) { return real.server(c, nil) })
	address, stop := tape.start(t, build(t), "-cert", cert, "-key", key, "-store", store, "-store-tls")
	secure := func(ctx context.Context, network, address string) (net.Conn, error) {
		var d tls.Dialer
		d.Config = &tls.Config{InsecureSkipVerify: true}
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		x := tape.conn(c, false)
		x.secure = true
		return x, nil
	}
	client := &http.Client{Transport: &http.Transport{DialTLSContext: secure}}
	for i := range 20 {
		ask(t, client, fmt.Sprintf("https://%s/hello?name=%d", address, i), strings.Repeat("x", i*1000))
	}
	if got := ask(t, client, "https://"+address+"/get?key=k", ""); !strings.Contains(got, "value of k") {
		t.Fatal(got)
	}
	client.CloseIdleConnections()
	stop()
	for _, path := range []string{cert, key} {
		tape.take(t, path)
	}
	if r := replay(t, tape.file(t), Options{}); !r.Same() || r.Equal < 22 {
		t.Errorf("%+v", *r)
	}
}

// certificate writes a certificate for nobody and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	a, err := newAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	if err := errors.Join(os.WriteFile(cert, a.pem(), 0o600), os.WriteFile(key,
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// answering is somebody who answers packets, or what comes over connections, by a function. It ends with the test.
func answering(t *testing.T, network, address string, answer func(asked []byte) []byte) string {
	t.Helper()
	if strings.HasPrefix(network, "udp") || network == "unixgram" {
		c, err := net.ListenPacket(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			buf := make([]byte, 1000)
			for {
				n, from, err := c.ReadFrom(buf)
				if err != nil {
					return
				}
				if said := answer(buf[:n]); said != nil && from != nil {
					c.WriteTo(said, from)
				}
			}
		}()
		return c.LocalAddr().String()
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 1000)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					c.Write(answer(buf[:n]))
				}
			}()
		}
	}()
	return ln.Addr().String()
}

// names answers questions for addresses (RFC 1035): each name has 192.0.2.77, and no other.
func names(asked []byte) []byte {
	end := 12 + bytes.IndexByte(asked[12:], 0) + 5
	answer := append([]byte{}, asked[:end]...)
	copy(answer[2:], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
	if binary.BigEndian.Uint16(asked[end-4:]) == 1 { // A
		answer[7] = 1
		answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 77)
	}
	return answer
}

// TestStreamsPackets records a program that looks names up, asks others by packets and over Unix sockets, and answers
// packets and what comes over a Unix socket. Replayed without all of them it does the same; a fault in the answer to a
// packet is found.
func TestStreamsPackets(t *testing.T) {
	for name, flags := range map[string][]string{"with what was sent": {"--payload", "--sent"},
		"with digests": {"--payload"}} {
		t.Run(name, func(t *testing.T) { streamsPackets(t, flags) })
	}
}

func streamsPackets(t *testing.T, flags []string) {
	dir, err := os.MkdirTemp("/var/tmp", "ri-streams-") // /tmp is empty inside
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(t.TempDir(), "server.streams")
	twice := func(asked []byte) []byte { return bytes.Repeat(asked, 2) }
	server := answering(t, "udp", "127.0.0.1:0", names)
	overTCP := answering(t, "tcp", "127.0.0.1:0", func(asked []byte) []byte {
		said := names(asked[2:])
		return append(binary.BigEndian.AppendUint16(nil, uint16(len(said))), said...)
	})
	udp := answering(t, "udp", "127.0.0.1:0", twice)
	unix := answering(t, "unix", filepath.Join(dir, "theirs"), twice)
	hidden := answering(t, "unix", "@ri-e2e-"+filepath.Base(dir), twice)
	gram := answering(t, "unixgram", filepath.Join(dir, "log"), func([]byte) []byte { return nil })
	own := filepath.Join(dir, "own")
	_, events := recordedStreams(t, file, flags, []string{"-unix", own, "-packets", "udp 127.0.0.1:0"},
		func(at string) {
			addr, packetsAt, _ := strings.Cut(at, " ")
			get := func(client *http.Client, base, path string, form url.Values) {
				resp, err := client.Get(base + path + "?" + form.Encode())
				if err != nil {
					t.Error(err)
					return
				}
				text, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if strings.Contains(string(text), "error") || strings.Contains(string(text), "refused") {
					t.Errorf("%s %v: %s", path, form, text)
				}
			}
			web := &http.Client{Transport: &http.Transport{}}
			dial := func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", own) }
			local := &http.Client{Transport: &http.Transport{DialContext: dial}}
			for i := range 10 {
				name := fmt.Sprintf("host%d.example.", i)
				get(web, "http://"+addr, "/lookup", url.Values{"name": {name}, "server": {server}})
				get(local, "http://local", "/ask", url.Values{"network": {"unix"}, "address": {unix}, "text": {name}})
				get(web, "http://"+addr, "/ask", url.Values{"network": {"udp"}, "address": {udp}, "text": {name}})
			}
			if len(flags) > 1 { // by digests a question over TCP isn't known
				get(web, "http://"+addr, "/lookup", url.Values{"name": {"far.example."}, "server": {overTCP}, "tcp": {"1"}})
			}
			get(local, "http://local", "/ask", url.Values{"network": {"unix"}, "address": {hidden}, "text": {"hidden"}})
			get(web, "http://"+addr, "/ask", url.Values{"network": {"unixgram"}, "address": {gram}, "text": {"logged"},
				"blind": {"1"}})
			web.CloseIdleConnections()
			local.CloseIdleConnections()
			c, err := net.Dial("udp", packetsAt)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for i := range 5 {
				fmt.Fprintf(c, "packet %d", i)
				if _, err := c.Read(make([]byte, 1000)); err != nil {
					t.Error(err)
				}
			}
		})
	third, sent := uint64(0), 0
	for _, e := range events {
		if e.Kind == "out" && e.Peer != "" && e.Network == "" {
			if sent++; sent == 3 {
				third = e.Seq
			}
		}
	}
	os.RemoveAll(dir)
	said := riSaid("replay", file)
	if said.code != 0 || !strings.Contains(said.stdout, "does what was recorded") ||
		strings.Contains(said.stdout, "short") {
		t.Errorf("the same program: exit code %d\n%s%s", said.code, said.stdout, said.stderr)
	}
	said = riSaid("replay", file, "--binary", streamsProgram(t, "!"))
	if said.code != 3 || !strings.Contains(said.stdout, fmt.Sprintf("event %d,", third)) {
		t.Errorf("a fault in event %d: exit code %d\n%s%s", third, said.code, said.stdout, said.stderr)
	}
}

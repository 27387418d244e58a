package conns

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"ri/probe/kernel"
	"ri/symbols"
)

// TestFunctions follows this very process: plaintext inside of TLS comes with the connection that it goes over, and
// random bytes come as they were given.
func TestFunctions(t *testing.T) {
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	file, err := symbols.Open(exe, "/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	list, notes := functions(file)
	if len(list) != 3 || len(notes) != 0 {
		t.Fatalf("%d functions, %v", len(list), notes)
	}
	code, err := target(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	s, err := kernel.FollowSockets(kernel.SocketOptions{PID: os.Getpid(), In: true, Out: true, Functions: list,
		Target: code})
	if errors.Is(err, kernel.ErrUnable) && os.Getenv("RI_NEED_BPF") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	body := strings.Repeat("0123456789abcdef", 10_000)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Write(b)
	}))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Post(server.URL, "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil || string(got) != body {
		t.Fatalf("the test itself is wrong: %d bytes, %v", len(got), err)
	}
	server.Close()
	random := make([]byte, 40)
	rand.Read(random)
	s.Stop()
	read, written, found := map[uint32][]byte{}, map[uint32][]byte{}, false
	for {
		c, ok := s.Next()
		if !ok {
			break
		}
		switch c.Kind() {
		case kernel.SocketPlainRead:
			read[c.Conn] = append(read[c.Conn], c.Data...)
		case kernel.SocketPlainWrite:
			written[c.Conn] = append(written[c.Conn], c.Data...)
		case kernel.SocketRandom:
			found = found || bytes.Equal(c.Data, random)
		}
	}
	if len(read) != 2 || len(written) != 2 || read[0] != nil {
		t.Errorf("plaintext of %d and %d connections, two were there", len(read), len(written))
	}
	for which, m := range map[string]map[uint32][]byte{"read": read, "written": written} {
		whole := 0
		for _, b := range m {
			whole += bytes.Count(b, []byte(body[:4096]))
		}
		if whole == 0 {
			t.Errorf("the body isn't in what was %s", which)
		}
	}
	if !found {
		t.Error("the random bytes aren't there")
	}
}

package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestStreamsHTTP2 records a server of HTTP/2 with clients that ask it at once, each on a stream of its own, while it
// asks another one of HTTP/2. Secrets in header fields and bodies, by their names or by a policy, are in no event, with
// HPACK and Huffman's code undone. Replayed without both, all header fields and bodies are the same; a build with one
// fault does something else.
func TestStreamsHTTP2(t *testing.T) {
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Set-Cookie", "id=Pl4ntedInSetCookie; Path=/")
		w.Header().Set("X-Customer", "Pl4ntedByPolicy")
		fmt.Fprintf(w, `{"proto": %q, "size": %d, "password": "Pl4ntedInAnswer"}`, r.Proto, len(body))
	}))
	upstream.EnableHTTP2 = true
	upstream.StartTLS()
	defer upstream.Close()
	dir := t.TempDir()
	file, policy := filepath.Join(dir, "server.streams"), filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte("- token: {field: x-customer*}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const clients, each = 8, 6
	_, events := recordedStreams(t, file, []string{"--payload", "--sent", "--policy", policy}, []string{"-tls", "-http2"},
		func(addr string) {
			transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			defer transport.CloseIdleConnections()
			ask := func(path string, size int) {
				req, _ := http.NewRequest("POST", "https://"+addr+path, strings.NewReader(strings.Repeat("x", size)))
				req.Header.Set("Authorization", "Bearer Pl4ntedInHeader")
				req.Header.Set("Cookie", "sid=Pl4ntedInCookie")
				req.Header.Set("X-Customer-Id", "Pl4ntedByPolicy2")
				req.Header.Set("X-Plain", "a-word-in-a-field")
				resp, err := transport.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
					t.Errorf("%s: %s %s %v", path, resp.Status, text, err)
				}
			}
			for range 4 {
				ask("/token", 0)
			}
			var all sync.WaitGroup
			for n := range clients {
				all.Go(func() {
					for i := range each {
						ask("/fetch?url="+url.QueryEscape(upstream.URL+fmt.Sprintf("/%d/%d?token=Pl4ntedInQuery", n, i)), n*i*3000)
					}
				})
			}
			all.Wait()
		})
	said := 0
	for id, text := range http2Said(t, events) {
		said += strings.Count(text, ":method: POST\n")
		if at := strings.Index(text, "Pl4nted"); at >= 0 {
			t.Errorf("connection %s: %q", id, text[max(0, at-60):min(len(text), at+40)])
		}
	}
	if said != 4+2*clients*each {
		t.Errorf("%d requests are in the recording", said)
	}
	if text, err := os.ReadFile(file); err != nil || bytes.Contains(text, []byte("Pl4nted")) {
		t.Errorf("the file has a planted secret, or %v", err)
	}
	check := riSaid("recording", "check", file, "--word", "a-word-in-a-field", "--word", "Pl4nted")
	if !strings.Contains(check.stdout, "found: a-word-in-a-field") || strings.Contains(check.stdout, "found: Pl4nted") {
		t.Errorf("check: %s%s", check.stdout, check.stderr)
	}
	upstream.Close()
	if r := replayStreams(t, file); !r.Same || r.Equal < 4+2*clients*each {
		t.Errorf("%+v", r)
	}
	// The size in a field, and the body.
	fault := riSaid("replay", file, "--binary", streamsProgram(t, "!"))
	if fault.code != 3 || !strings.Contains(fault.stdout, "2 differing") {
		t.Errorf("with a fault: %d %s%s", fault.code, fault.stdout, fault.stderr)
	}
}

// http2Said gives what was said in each direction of connections with HTTP/2 as text: header fields, and data.
func http2Said(t *testing.T, events []streamEvent) map[string]string {
	t.Helper()
	raw, text := map[string]*bytes.Buffer{}, map[string]string{}
	for _, e := range events {
		if e.TLS && (e.Kind == "in" || e.Kind == "out") {
			id := fmt.Sprint(e.Conn, " ", e.Kind)
			if raw[id] == nil {
				raw[id] = &bytes.Buffer{}
			}
			raw[id].WriteString(e.data(t))
		}
	}
	for id, b := range raw {
		f := http2.NewFramer(nil, bytes.NewReader(bytes.TrimPrefix(b.Bytes(), []byte(http2.ClientPreface))))
		f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		for {
			frame, err := f.ReadFrame()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("connection %s: %v", id, err)
			}
			switch frame := frame.(type) {
			case *http2.MetaHeadersFrame:
				for _, field := range frame.Fields {
					text[id] += field.Name + ": " + field.Value + "\n"
				}
			case *http2.DataFrame:
				text[id] += string(frame.Data()) + "\n"
			}
		}
	}
	return text
}

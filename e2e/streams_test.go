package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// streamEvent is an event as ri recording export writes it.
type streamEvent struct {
	Seq                  uint64
	Kind                 string
	Conn                 uint32
	Goroutine            uint64
	TLS                  bool
	Network, Local, Peer string
	Errno                int
	Size                 int64
	Data64, SHA256       string
}

func (e *streamEvent) data(t *testing.T) string {
	b, err := base64.StdEncoding.DecodeString(e.Data64)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// streamsProgram builds testdata/streams. A fault goes behind its third token.
func streamsProgram(t *testing.T, fault string) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "streams.exe")
	build := exec.Command("go", "build", "-ldflags", "-X main.fault="+fault, "-o", exe, "./testdata/streams")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return exe
}

// recordedStreams records testdata/streams while use talks to it, and gives the recording's events.
func recordedStreams(t *testing.T, file string, flags, args []string, use func(addr string)) (header map[string]any,
	events []streamEvent) {
	t.Helper()
	return recordedProgram(t, file, flags, append([]string{streamsProgram(t, "")}, args...),
		"API_TOKEN=Pl4ntedInEnvironment", use)
}

// recordedProgram records a program that says where it listens, with a variable of the environment.
func recordedProgram(t *testing.T, file string, flags, command []string, variable string, use func(addr string)) (
	header map[string]any, events []streamEvent) {
	t.Helper()
	needAttach(t)
	line := append(append([]string{"record", "streams", "-o", file}, flags...), "--")
	cmd := riCommand(append(line, command...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Environ(), variable)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		fmt.Fprintln(&said, lines.Text())
		for _, says := range []string{"listening at ", "listening on http://", "Listening for client connections on "} {
			_, addr, ok := strings.Cut(lines.Text(), says)
			if !ok {
				continue
			}
			use(addr)
			cmd.Process.Signal(syscall.SIGINT)
		}
	}
	if err := cmd.Wait(); err != nil {
		if strings.Contains(said.String(), "doesn't let ri probe") && os.Getenv("RI_NEED_BPF") == "" {
			t.Skip("the kernel doesn't let ri probe here")
		}
		t.Fatalf("%v\n%s", err, said.String())
	}
	exported := riSaid("recording", "export", file)
	d := json.NewDecoder(strings.NewReader(exported.stdout))
	if err := d.Decode(&header); err != nil {
		t.Fatalf("%v\n%s%s", err, exported.stdout, exported.stderr)
	}
	for d.More() {
		var e streamEvent
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	if said := riSaid("recording", "verify", file); said.code != 0 {
		t.Errorf("ri recording verify: %s", said.stderr)
	}
	t.Log(said.String())
	return header, events
}

// TestStreams records a server from its start: what clients sent is there byte by byte, in order, and planted secrets
// are not, neither in the file nor in what is made of it.
func TestStreams(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.streams")
	body := strings.Repeat("0123456789abcdef", 20_000)
	header, events := recordedStreams(t, file, []string{"--payload", "--sent"}, []string{"-password", "Pl4ntedArgument"},
		func(addr string) {
			req, _ := http.NewRequest("POST", "http://"+addr+"/echo?token=Pl4ntedInQuery", strings.NewReader(body))
			req.Header.Set("Authorization", "Bearer Pl4ntedInHeader")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			got, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(got) != body {
				t.Errorf("the server answered %d bytes", len(got))
			}
			// A secret in two writes, and one of the arguments, in a JSON that has no such name.
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			text := `{"password": "Pl4ntedInJSON", "other": "Pl4ntedArgument"}`
			fmt.Fprintf(c, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(text),
				text[:20])
			io.WriteString(c, text[20:])
			io.ReadAll(c)
			c.Close()
			resp, err = http.Get("http://" + addr + "/dial")
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		})
	in, out, kinds := map[uint32]string{}, map[uint32]string{}, map[string]int{}
	goroutines := 0
	for _, e := range events {
		kinds[e.Kind]++
		switch e.Kind {
		case "in":
			in[e.Conn] += e.data(t)
		case "out":
			out[e.Conn] += e.data(t)
		}
		if e.Goroutine != 0 {
			goroutines++
		}
	}
	for kind, least := range map[string]int{"start": 1, "listen": 1, "accept": 3, "dial": 1, "in": 4, "out": 4, "close": 4,
		"end": 1} {
		if kinds[kind] < least {
			t.Errorf("%d events %s, at least %d were made: %v", kinds[kind], kind, least, kinds)
		}
	}
	if goroutines < len(events)/2 {
		t.Errorf("of %d events %d say which goroutine", len(events), goroutines)
	}
	whole := 0
	for conn, stream := range in {
		if strings.Contains(stream, body) && strings.Contains(out[conn], body) {
			whole++
		}
	}
	if whole != 1 {
		t.Errorf("the large body came in and went out over %d connections", whole)
	}
	if p, _ := header["process"].(map[string]any); fmt.Sprint(p["exit"]) != "0" {
		t.Errorf("the program's exit code is recorded as %v", p["exit"])
	}
	exported := riSaid("recording", "export", file)
	bytesOf, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, planted := range []string{"Pl4ntedArgument", "Pl4ntedInQuery", "Pl4ntedInHeader", "Pl4ntedInJSON",
		"Pl4ntedInEnvironment"} {
		for what, text := range map[string]string{"the file": string(bytesOf), "export": exported.stdout,
			"what came in": fmt.Sprint(in), "what went out": fmt.Sprint(out)} {
			if strings.Contains(text, planted) {
				t.Errorf("%s has %s", what, planted)
			}
		}
		if said := riSaid("recording", "check", file, "--word", planted); strings.Contains(said.stdout, "found: "+planted) {
			t.Errorf("check: %s", said.stdout)
		}
	}
}

// TestStreamsTLS: of a connection with TLS the plaintext is in the recording, in its place between other events, and
// so are the random bytes that its keys were made of; planted secrets aren't.
func TestStreamsTLS(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.streams")
	body := strings.Repeat("0123456789abcdef", 5_000)
	_, events := recordedStreams(t, file, []string{"--payload", "--sent"}, []string{"-tls"}, func(addr string) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		defer transport.CloseIdleConnections()
		for range 3 {
			req, _ := http.NewRequest("POST", "https://"+addr+"/echo", strings.NewReader(body))
			req.Header.Set("Authorization", "Bearer Pl4ntedInHeader")
			resp, err := (&http.Client{Transport: transport}).Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
	var in, out strings.Builder
	random := 0
	for _, e := range events {
		switch {
		case e.Kind == "random":
			random += len(e.data(t))
		case e.TLS && e.Kind == "in":
			in.WriteString(e.data(t))
		case e.TLS && e.Kind == "out":
			out.WriteString(e.data(t))
			if strings.Count(out.String(), "HTTP/1.1 200 OK") > strings.Count(in.String(), "POST /echo HTTP/1.1") {
				t.Errorf("an answer comes before its request")
			}
		case e.Kind == "in" && e.Data64 != "":
			t.Errorf("ciphertext is kept: %+v", e)
		}
	}
	if strings.Count(in.String(), body) != 3 || strings.Count(out.String(), body) != 3 {
		t.Errorf("%d bytes came in, %d went out", in.Len(), out.Len())
	}
	if random < 32 {
		t.Errorf("%d random bytes", random)
	}
	if strings.Contains(in.String(), "Pl4ntedInHeader") {
		t.Error("what came in has the planted secret")
	}
}

// TestStreamsSizes records without bytes: none are in the file.
func TestStreamsSizes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.streams")
	_, events := recordedStreams(t, file, nil, nil, func(addr string) {
		resp, err := http.Post("http://"+addr+"/echo", "text/plain", strings.NewReader("Pl4ntedInBody"))
		if err != nil {
			t.Error(err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	})
	size := int64(0)
	for _, e := range events {
		if e.Data64 != "" || e.SHA256 != "" {
			t.Errorf("bytes, or a digest of them: %+v", e)
		}
		if e.Kind == "in" {
			size += e.Size
		}
	}
	if size < 100 {
		t.Errorf("%d bytes came in", size)
	}
	if text, err := os.ReadFile(file); err != nil || bytes.Contains(text, []byte("Pl4ntedInBody")) {
		t.Errorf("the file has the body, or %v", err)
	}
}

// TestStreamsStartTLS: of a connection on which TLS begins later, what was said before and inside is recorded, without
// secrets, and replayed.
func TestStreamsStartTLS(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.streams")
	_, events := recordedStreams(t, file, []string{"--payload", "--sent"}, []string{"-starttls"}, func(addr string) {
		_, at, _ := strings.Cut(addr, " ")
		for n := range 3 {
			c, err := net.Dial("tcp", at)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			in := bufio.NewReader(c)
			say := func(format string, args ...any) {
				if format != "" {
					fmt.Fprintf(c, format+"\r\n", args...)
				}
				if _, err := in.ReadString('\n'); err != nil {
					t.Error(err)
				}
			}
			say("")
			say("EHLO %d", n)
			if n < 2 { // one stays in clear
				say("STARTTLS")
				c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
				in = bufio.NewReader(c)
			}
			say("AUTH PLAIN Pl4ntedInLine")
			say("NOOP %d", n)
			c.Close()
		}
	})
	var clear, inside string
	for _, e := range events {
		if e.Kind == "in" && e.TLS {
			inside += e.data(t)
		} else if e.Kind == "in" {
			clear += e.data(t)
		}
	}
	if strings.Count(clear, "STARTTLS") != 2 || strings.Count(inside, "AUTH PLAIN ") != 2 ||
		strings.Contains(clear+inside, "Pl4nted") {
		t.Errorf("%q\n%q", clear, inside)
	}
	if r := replayStreams(t, file); !r.Same || r.Equal < 3+2*4+3 {
		t.Errorf("%+v", r)
	}
}

// TestStreamsReplayed records a server and replays it without its clients: all that it writes is the same to the byte,
// dates, tokens, and replaced secrets included; and a build with one fault does something else, at the event that is
// named.
func TestStreamsReplayed(t *testing.T) {
	for name, flags := range map[string][]string{"plain": nil, "TLS": {"-tls"}} {
		t.Run(name, func(t *testing.T) { streamsReplayed(t, flags) })
	}
}

func streamsReplayed(t *testing.T, flags []string) {
	file := filepath.Join(t.TempDir(), "server.streams")
	_, events := recordedStreams(t, file, []string{"--payload", "--sent"}, flags, func(addr string) {
		scheme := "http://"
		if len(flags) > 0 {
			scheme = "https://"
		}
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		defer transport.CloseIdleConnections()
		for i := range 20 {
			path, body := "/token", ""
			if i >= 10 {
				path, body = "/echo", fmt.Sprintf(`{"password": "Pl4ntedInJSON", "n": %d}`, i)
			}
			req, _ := http.NewRequest("POST", scheme+addr+path, strings.NewReader(body))
			req.Header.Set("Authorization", "Bearer Pl4ntedInHeader")
			resp, err := (&http.Client{Transport: transport}).Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
	third, answers := uint64(0), 0
	for _, e := range events {
		if e.Kind == "out" && strings.HasPrefix(e.data(t), "HTTP/1.1 200") {
			if answers++; answers == 3 {
				third = e.Seq
			}
		}
	}
	if answers != 20 {
		t.Fatalf("%d answers are recorded", answers)
	}
	if said := riSaid("replay", file); said.code != 0 || !strings.Contains(said.stdout, "does what was recorded") {
		t.Errorf("the same program: exit code %d\n%s%s", said.code, said.stdout, said.stderr)
	}
	said := riSaid("replay", file, "--binary", streamsProgram(t, "!"))
	if said.code != 3 || !strings.Contains(said.stdout, fmt.Sprintf("event %d,", third)) {
		t.Errorf("a fault in event %d: exit code %d\n%s%s", third, said.code, said.stdout, said.stderr)
	}
}

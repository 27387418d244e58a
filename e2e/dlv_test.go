package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"
	"github.com/google/go-dap"
)

// headless is a ri dlv --headless.
type headless struct {
	cmd      *exec.Cmd
	address  string
	stderr   text
	finished chan error
}

// serveDlv starts ri dlv --headless and waits until it listens.
func serveDlv(t *testing.T, args ...string) *headless {
	t.Helper()
	return serveDlvAs(t, nil, args...)
}

// serveDlvAs has variables in its environment, too.
func serveDlvAs(t *testing.T, env []string, args ...string) *headless {
	t.Helper()
	h := &headless{cmd: riCommand(append([]string{"dlv", "--headless"}, args...)...), finished: make(chan error, 1)}
	h.cmd.Env = append(h.cmd.Env, env...)
	h.cmd.Stderr = &h.stderr
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		h.finished <- h.cmd.Wait()
	}()
	t.Cleanup(func() {
		h.cmd.Process.Kill()
		<-h.finished
	})
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "API server listening at: ")
	if !ok {
		t.Fatalf("ri dlv says %q, %v\n%s", line, err, h.stderr.String())
	}
	h.address = address
	return h
}

// ends waits for its end.
func (h *headless) ends(t *testing.T, code int) {
	t.Helper()
	err := <-h.finished
	h.finished <- err
	if got := h.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("ri dlv exits with %d (%v), want %d\n%s", got, err, code, h.stderr.String())
	}
}

func (h *headless) dial(t *testing.T, network string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, h.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// object is a JSON object.
type object = map[string]any

// dapClient is a small client of DAP, as an editor is a large one.
type dapClient struct {
	t      *testing.T
	conn   net.Conn
	in     *bufio.Reader
	seq    int
	events []object
}

func newDAP(t *testing.T, conn net.Conn) *dapClient {
	c := &dapClient{t: t, conn: conn, in: bufio.NewReader(conn)}
	c.done("initialize", object{"clientID": "test", "adapterID": "go", "pathFormat": "path", "linesStartAt1": true,
		"columnsStartAt1": true, "supportsVariableType": true})
	return c
}

// read gives the next message; nil if the connection is closed.
func (c *dapClient) read() object {
	c.t.Helper()
	raw, err := dap.ReadBaseMessage(c.in)
	if err != nil {
		return nil
	}
	var m object
	if err := json.Unmarshal(raw, &m); err != nil {
		c.t.Fatalf("%s: %v", raw, err)
	}
	return m
}

// ask sends a request and gives the response. Events on the way are kept.
func (c *dapClient) ask(command string, arguments object) object {
	c.t.Helper()
	c.seq++
	raw, err := json.Marshal(object{"seq": c.seq, "type": "request", "command": command, "arguments": arguments})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := dap.WriteBaseMessage(c.conn, raw); err != nil {
		c.t.Fatal(err)
	}
	for {
		m := c.read()
		switch {
		case m == nil:
			c.t.Fatalf("%s: the connection was closed", command)
		case m["type"] == "event":
			c.events = append(c.events, m)
		case m["type"] == "response" && m["request_seq"] == float64(c.seq):
			return m
		default:
			c.t.Fatalf("%s: %v", command, m)
		}
	}
}

// done asks what must succeed, and gives the body of the response.
func (c *dapClient) done(command string, arguments object) object {
	c.t.Helper()
	m := c.ask(command, arguments)
	if m["success"] != true {
		c.t.Fatalf("%s: %v", command, m)
	}
	body, _ := m["body"].(object)
	return body
}

// refused asks what must be answered with words that say why not.
func (c *dapClient) refused(command string, arguments object, words string) {
	c.t.Helper()
	m := c.ask(command, arguments)
	shown := fmt.Sprint(m["body"])
	message, _ := m["message"].(string)
	if m["success"] != false || !strings.Contains(message, words) || !strings.Contains(shown, words) {
		c.t.Errorf("%s: %v", command, m)
	}
}

func (c *dapClient) event(name string) object {
	c.t.Helper()
	for {
		for i, e := range c.events {
			if e["event"] == name {
				c.events = append(c.events[:i], c.events[i+1:]...)
				body, _ := e["body"].(object)
				return body
			}
		}
		m := c.read()
		if m == nil {
			c.t.Fatalf("no event %s", name)
		}
		c.events = append(c.events, m)
	}
}

func objects(t *testing.T, body object, name string) (out []object) {
	t.Helper()
	all, ok := body[name].([]any)
	if !ok {
		t.Fatalf("no %s in %v", name, body)
	}
	for _, e := range all {
		out = append(out, e.(object))
	}
	return out
}

const isCopy = "this is a copy of pid "

// hereAndFromAfar tries what is served here, with the copy here and at an agent.
func hereAndFromAfar(t *testing.T, try func(t *testing.T, at ...string)) {
	needAttach(t)
	t.Run("here", func(t *testing.T) { try(t) })
	t.Run("from afar", func(t *testing.T) { try(t, "--at", startAgent(t).at) })
}

// TestDAP looks at a process as an editor does: it attaches to what is served, reads, and is refused all else.
func TestDAP(t *testing.T) { hereAndFromAfar(t, tryDAP) }

func tryDAP(t *testing.T, at ...string) {
	p := startTarget(t, "local", "-objects", "100", "-seed", "41", "-load")
	h := serveDlv(t, append(at, "-p", fmt.Sprint(p.pid), "--max-stop", "1m")...)
	if says := h.stderr.String(); !strings.Contains(says, "stopped ") || !strings.Contains(says, "and it runs on") {
		t.Error(says)
	}
	c := newDAP(t, h.dial(t, "tcp"))

	// Nothing else is started or attached to.
	made := filepath.Join(t.TempDir(), "made")
	touch, err := exec.LookPath("touch")
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"", "exec", "debug", "core", "replay"} {
		args := []string{made}
		c.refused("launch", object{"mode": mode, "program": touch, "args": args, "coreFilePath": "/proc/self/exe"}, isCopy)
		c.refused("launch", object{"mode": mode, "program": touch, "args": args, "noDebug": true}, isCopy)
	}
	for _, mode := range []any{nil, "local", "Remote", 1} {
		c.refused("attach", object{"mode": mode, "processId": p.pid}, isCopy)
		c.refused("attach", object{"mode": mode, "waitFor": "target"}, isCopy)
	}
	c.refused("attach", nil, isCopy)
	if _, err := os.Stat(made); err == nil {
		t.Error("launch has started a program")
	}

	c.done("attach", object{"mode": "remote", "stopOnEntry": false})
	c.event("initialized")
	lines := []object{{"line": 1}, {"line": 2}}
	set := objects(t, c.done("setBreakpoints", object{"source": object{"path": "main.go"}, "breakpoints": lines}),
		"breakpoints")
	functions := object{"breakpoints": []object{{"name": "main.main"}}}
	set = append(set, objects(t, c.done("setFunctionBreakpoints", functions), "breakpoints")...)
	if len(set) != 3 {
		t.Error(set)
	}
	for _, b := range set {
		if b["verified"] != false || !strings.HasPrefix(fmt.Sprint(b["message"]), isCopy) {
			t.Errorf("a breakpoint: %v", b)
		}
	}
	c.done("setExceptionBreakpoints", object{"filters": []string{}})
	c.done("configurationDone", nil)
	if stopped := c.event("stopped"); stopped["reason"] != "entry" {
		t.Errorf("stopped: %v", stopped)
	}

	// Goroutines, frames and variables.
	goroutines := objects(t, c.done("threads", nil), "threads")
	if len(goroutines) < 10 {
		t.Error(goroutines)
	}
	found := false
	for _, f := range objects(t, c.done("stackTrace", object{"threadId": 1}), "stackFrames") {
		if f["name"] != "main.main" {
			continue
		}
		found = true
		for _, scope := range objects(t, c.done("scopes", object{"frameId": f["id"]}), "scopes") {
			c.done("variables", object{"variablesReference": scope["variablesReference"]})
		}
	}
	if !found {
		t.Error("no main.main on the stack of goroutine 1")
	}
	if units := c.done("evaluate", object{"expression": "main.store.units"}); units["result"] != "2" {
		t.Error(units)
	}

	// What would run or change it.
	some := object{"threadId": 1, "variablesReference": 1, "name": "x", "value": "1", "memoryReference": "0x1"}
	for _, command := range []string{"continue", "next", "stepIn", "stepOut", "stepBack", "reverseContinue", "restart",
		"restartFrame", "goto", "setVariable", "setExpression", "writeMemory", "terminateThreads", "runInTerminal", "x"} {
		c.refused(command, some, isCopy)
	}
	c.refused("evaluate", object{"expression": " call main.newStore(nil)", "context": "repl"}, isCopy)
	c.done("pause", object{"threadId": 1})

	// It may leave and come back.
	c.done("disconnect", nil)
	for c.read() != nil {
	}
	c = newDAP(t, h.dial(t, "tcp"))
	c.done("attach", object{"mode": "remote"})
	c.done("configurationDone", nil)
	c.event("stopped")

	if traced, err := isTraced(p.pid); traced || err != nil {
		t.Error(traced, err)
	}
	if err := h.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	h.ends(t, 130)
	goesOn(t, p)
	sameAsFile(t, p.pid)
}

// TestDelveAPI looks with Delve's own client, as dlv connect does.
func TestDelveAPI(t *testing.T) { hereAndFromAfar(t, tryDelveAPI) }

func tryDelveAPI(t *testing.T, at ...string) {
	p := startTarget(t, "local", "-objects", "100", "-seed", "42", "-load")
	socket := filepath.Join(t.TempDir(), "socket")
	h := serveDlv(t, append(at, "-p", fmt.Sprint(p.pid), "--max-stop", "1m", "--precopy", "--listen", "unix:"+socket)...)
	if h.address != socket {
		t.Error(h.address)
	}
	c := rpc2.NewClientFromConn(h.dial(t, "unix"))
	list, _, err := c.ListGoroutines(0, 0)
	if err != nil || len(list) < 10 {
		t.Error(len(list), err)
	}
	v, err := c.EvalVariable(api.EvalScope{GoroutineID: -1}, "main.store.units", api.LoadConfig{})
	if err != nil || v.Value != "2" {
		t.Error(v, err)
	}
	_, err = c.CreateBreakpoint(&api.Breakpoint{FunctionName: "main.main"})
	_, err2 := c.Next()
	_, err3 := c.Restart(true)
	_, err4 := c.RestartFrom(true, "", true, []string{"x"}, [3]string{}, false)
	_, err5 := c.Call(1, "main.main()", false)
	err6 := c.SetVariable(api.EvalScope{GoroutineID: -1}, "main.store.units", "3")
	for i, err := range []error{err, err2, err3, err4, err5, err6, (<-c.Continue()).Err} {
		if err == nil || !strings.HasPrefix(err.Error(), isCopy) {
			t.Error(i, err)
		}
	}

	// A second one at the same time. One of them ends it.
	other := rpc2.NewClientFromConn(h.dial(t, "unix"))
	if state, err := other.GetState(); err != nil || state.Pid != p.pid {
		t.Error(state, err)
	}
	if err := other.Detach(true); err != nil {
		t.Error(err)
	}
	h.ends(t, 0)
	if _, err := os.Lstat(socket); err == nil {
		t.Error("the socket is still there")
	}
	goesOn(t, p)
	sameAsFile(t, p.pid)
}

// TestDlvSameUser has another user knock at both kinds of sockets.
func TestDlvSameUser(t *testing.T) { hereAndFromAfar(t, trySameUser) }

func trySameUser(t *testing.T, at ...string) {
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	knock := filepath.Join(bin, "knock")
	build := exec.Command("go", "build", "-o", knock, ".")
	build.Dir = "testdata/knock"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := startTarget(t, "local", "-objects", "10")
	dir, err := os.MkdirTemp(bin, "socket")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "socket")
	for network, listen := range map[string]string{"tcp": "127.0.0.1:0", "unix": "unix:" + socket} {
		h := serveDlv(t, append(at, "-p", fmt.Sprint(p.pid), "--max-stop", "1m", "--listen", listen)...)
		ask := func(uid uint32) string {
			cmd := exec.Command(knock, network, h.address)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			_ = cmd.Run()
			return out.String()
		}
		if answer := ask(0); !strings.Contains(answer, "DelveVersion") {
			t.Errorf("%s: the same user gets %q", network, answer)
		}
		if network == "unix" {
			if answer := ask(65534); !strings.Contains(answer, "permission denied") {
				t.Errorf("another user gets at the socket: %q", answer)
			}
			if err := os.Chmod(socket, 0o666); err != nil { // so that only its user is against it
				t.Fatal(err)
			}
		}
		if answer := ask(65534); answer != "" {
			t.Errorf("%s: another user gets %q", network, answer)
		}
		if err := eventually("a refusal is told", func() (bool, error) {
			return strings.Contains(h.stderr.String(), "user"), nil
		}); err != nil {
			t.Errorf("%s: %v: %s", network, err, h.stderr.String())
		}
		if answer := ask(0); !strings.Contains(answer, "DelveVersion") {
			t.Errorf("%s: after another user, the same user gets %q", network, answer)
		}
	}
	goesOn(t, p)
}

// TestDlvOnATerminal types: completion, an interrupted line, a long command that Ctrl-C ends, and leaving.
func TestDlvOnATerminal(t *testing.T) {
	p := startService(t)
	s := openScreen(t, 100, 30, "ri", "dlv", "-p", fmt.Sprint(p.pid), "--max-stop", "1m")
	s.shows("(dlv)")
	s.enter("print main.store.units", "(dlv) print main.store.units\n2\n(dlv)")
	s.typed("not this")
	s.shows("(dlv) not this")
	s.keys("C-c")
	s.enter("goroutine 1", "Switched from ")
	s.enter("continue", "Command failed: "+isCopy)
	s.keys("C-d")
	s.shows("left with 0")
	goesOn(t, p)
}

// TestDlvEndedBySignal ends it while it waits for input that isn't a terminal's.
func TestDlvEndedBySignal(t *testing.T) {
	needAttach(t)
	p := startTarget(t, "local", "-objects", "10")
	for signal, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129} {
		cmd := riCommand("dlv", "-p", fmt.Sprint(p.pid), "--max-stop", "1m")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var said text
		cmd.Stdout = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(in, "print main.store.units")
		answered := func() (bool, error) { return strings.Contains(said.String(), "\n(dlv) 2\n"), nil }
		if err := eventually("Delve answers", answered); err != nil {
			t.Error(err, said.String())
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("%v: ri exits with %d, want %d", signal, got, code)
		}
	}
	goesOn(t, p)
}

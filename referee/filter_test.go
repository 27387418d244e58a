package referee

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/go-delve/delve/service/rpc2"
	"github.com/google/go-dap"
)

// refusedMethods are the methods of Delve's API that aren't reading ones: each was looked at.
var refusedMethods = set(`
	AmendBreakpoint Checkpoint ClearBreakpoint ClearCheckpoint CreateBreakpoint CreateEBPFTracepoint CreateWatchpoint
	DownloadLibraryDebugInfo DumpStart FollowExec Restart Set SetExecutionPoint ToggleBreakpoint`)

// TestMethodsAreKnown fails when another version of Delve has methods that nobody has looked at.
func TestMethodsAreKnown(t *testing.T) {
	methods := reflect.TypeFor[*rpc2.RPCServer]()
	there := set("GetVersion SetApiVersion") // of rpccommon
	for i := range methods.NumMethod() {
		name := methods.Method(i).Name
		there[name] = true
		if name == "Command" || name == "GetEvents" {
			continue
		}
		if readingMethods[name] == refusedMethods[name] {
			t.Errorf("is %s a method that only reads?", name)
		}
	}
	for _, known := range []map[string]bool{readingMethods, refusedMethods} {
		for name := range known {
			if !there[name] {
				t.Errorf("Delve has no method %s", name)
			}
		}
	}
}

// passed sends a text through a filter, and gives what came through and what was answered.
func passed(t *testing.T, text string) (through, answered string) {
	t.Helper()
	here, there := net.Pipe()
	answers := make(chan string)
	go func() {
		all, _ := io.ReadAll(here)
		answers <- string(all)
	}()
	c := newClient(there, Copy{Of: "pid 1"})
	var out bytes.Buffer
	if err := c.pump(bufio.NewReader(strings.NewReader(text)), &out); err == nil {
		t.Error("no error at the end")
	}
	there.Close()
	return out.String(), <-answers
}

func TestFilterRPC(t *testing.T) {
	const no = `,"result":null,"error":"this is a copy of pid 1; `
	for _, test := range []struct{ request, answer string }{
		{`{"method":"RPCServer.State","params":[{}],"id":7}`, ``},
		{`{"method":"RPCServer.Command","params":[{"name":"switchGoroutine","goroutineID":3}],"id":7}`, ``},
		{`{"method":"RPCServer.Command","params":[{"name":"halt"}],"id":7}`, ``},
		{`{"method":"RPCServer.Command","params":[{"name":"continue"}],"id":7}`, `{"id":7` + no},
		{`{"method":"RPCServer.Command","params":[],"id":"x"}`, `{"id":"x"` + no},
		{`{"method":"RPCServer.Restart","params":[{}],"id":8}`, `{"id":8` + no},
		{`{"method":"RPCServer.Unheard","params":[{}],"id":9}`, `{"id":9` + no},
		{`{"method":"RPCServer.GetEvents","params":[{}],"id":9}`, `{"id":9,"result":{"Events":[{"Kind":`},
	} {
		through, answered := passed(t, test.request)
		if test.answer == "" {
			if through != test.request+"\n" || answered != "" {
				t.Errorf("%s: passed on %q, answered %q", test.request, through, answered)
			}
		} else if through != "" || !strings.HasPrefix(answered, test.answer) {
			t.Errorf("%s: passed on %q, answered %q", test.request, through, answered)
		}
	}
	for _, garbage := range []string{"", "x", "{", "[]", `{"method":3}`, "\x00\x00"} {
		if through, answered := passed(t, garbage); through != "" || answered != "" {
			t.Errorf("%q: passed on %q, answered %q", garbage, through, answered)
		}
	}
}

func TestFilterDAP(t *testing.T) {
	frame := func(text string) string {
		var b bytes.Buffer
		_ = dap.WriteBaseMessage(&b, []byte(text))
		return b.String()
	}
	threads := frame(`{"seq":1,"type":"request","command":"threads"}`)
	launch := frame(`{"seq":2,"type":"request","command":"launch","arguments":{"program":"/bin/true"}}`)
	attach := frame(`{"seq":3,"type":"request","command":"attach","arguments":{"mode":"remote","x":true}}`)
	through, answered := passed(t, threads+launch+attach)
	stays := frame(`{"arguments":{"mode":"remote","stopOnEntry":true,"x":true},"command":"attach","seq":3,` +
		`"type":"request"}`)
	if through != threads+stays {
		t.Errorf("passed on %q", through)
	}
	no := `"request_seq":2,"success":false,"command":"launch","message":"this is a copy of pid 1; `
	if !strings.Contains(answered, no) {
		t.Errorf("answered %q", answered)
	}
	for _, garbage := range []string{
		"C", "Content-Length: 5\r\n\r\n", "Content-Length: 99999999999\r\n\r\n", frame("x"), frame("[]"),
		frame(`{"type":"event"}`),
	} {
		if through, answered := passed(t, garbage); through != "" || answered != "" {
			t.Errorf("%q: passed on %q, answered %q", garbage, through, answered)
		}
	}
}

// TestFramesStayWhole writes frames in pieces, with an answer of ours between.
func TestFramesStayWhole(t *testing.T) {
	here, there := net.Pipe()
	answers := make(chan string)
	go func() {
		all, _ := io.ReadAll(here)
		answers <- string(all)
	}()
	c := newClient(there, Copy{})
	c.frames = true
	for _, piece := range []string{"Content-", "Length: 3\r\n", "\r\n", "ab"} {
		if n, err := c.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Error(n, err)
		}
	}
	if err := c.answer([]byte("OURS")); err != nil {
		t.Error(err)
	}
	if _, err := c.Write([]byte("cContent-Length: 0\r\n\r\nContent-Length: 1\r\n\r\n")); err != nil {
		t.Error(err)
	}
	c.Close()
	if got := <-answers; got != "OURSContent-Length: 3\r\n\r\nabcContent-Length: 0\r\n\r\n" {
		t.Errorf("%q", got)
	}
}

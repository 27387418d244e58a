package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"ri/symbols/testprogram"
)

// TestOTLP has a receiver of OTLP given each request as a trace of its own: the handler, the goroutines that it
// started, and what they passed. No text leaves as it was.
func TestOTLP(t *testing.T) {
	needAttach(t)
	var mu sync.Mutex
	var spans []*otlp.Span
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var said collector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &said) != nil || r.URL.Path != "/v1/traces" {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range said.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				spans = append(spans, scope.Spans...)
			}
		}
	}))
	defer server.Close()
	const n = 100
	cmd := exec.Command(testprogram.Build(t, "testdata/steps", testprogram.Variant{}))
	in, out := testprogram.Ready(t, cmd)
	args := []string{"trace", "-p", strconv.Itoa(cmd.Process.Pid), "main.handle", "--steps", "main.lookup", "--redact",
		"--show", "key,len(key),key[0],r.URL.RawQuery", "--limit", strconv.Itoa(n), "--otlp", server.URL}
	found, said := whileTraced(t, args, func(*exec.Cmd) {
		fmt.Fprintln(in, n)
		if line, err := out.ReadString('\n'); line != "done\n" {
			t.Errorf("%q, %v", line, err)
		}
	})
	clear := func(v any) bool {
		text, ok := v.(string)
		return ok && strings.HasPrefix(text, "key=")
	}
	for _, row := range found {
		if clear(row["r.URL.RawQuery"]) {
			t.Fatalf("in clear: %v", row)
		}
		if letter, clear := row["key[0]"].(float64); clear {
			t.Fatalf("a letter in clear: %v", letter)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	type seen struct{ roots, goroutines, lookups int }
	traces := map[string]*seen{}
	queries := map[string]bool{}
	for _, s := range spans {
		one := traces[string(s.TraceId)]
		if one == nil {
			one = &seen{}
			traces[string(s.TraceId)] = one
		}
		if one.lookups += len(s.Events); len(s.ParentSpanId) > 0 {
			one.goroutines++
		} else if one.roots++; s.Name != "main.handle" {
			t.Errorf("%+v", s)
		}
		for _, a := range s.Attributes {
			if a.Key == "r.URL.RawQuery" {
				queries[a.Value.GetStringValue()] = true
			}
			if clear(a.Value.GetStringValue()) {
				t.Fatalf("in clear: %+v", a)
			}
		}
		for _, e := range s.Events {
			length := int64(0)
			for _, a := range e.Attributes {
				if a.Key == "len(key)" {
					length = a.Value.GetIntValue()
				}
			}
			if e.Name != "main.lookup" || length < 1 || length > 2 {
				t.Fatalf("%+v", e)
			}
		}
	}
	for id, one := range traces {
		if *one != (seen{1, 2, 3}) {
			t.Errorf("trace %x: %+v", id, *one)
		}
	}
	if len(traces) != n || len(queries) != n || !strings.Contains(said, "300 spans given") {
		t.Errorf("%d traces of %d queries, %s", len(traces), len(queries), said)
	}
	server.Close()
	args = append(args, "--for", "2s", "--budget", "1000%") // it is about what is dropped
	fmt.Fprintln(in, 1<<20)
	if _, said := runRi(t, 5, args...); !strings.Contains(said, "spans were dropped") {
		t.Error(said)
	}
	for _, test := range [][2]string{{"--otlp nowhere", "is no address of an OTLP receiver"},
		{"--redact --count func", "counts show what they count by as it is"},
		{"--otlp http://127.0.0.1:1", "it goes with --returns, or --steps"}} {
		args := append([]string{"trace", "-p", strconv.Itoa(cmd.Process.Pid), "main.handle"}, strings.Fields(test[0])...)
		if _, said := runRi(t, 2, args...); !strings.Contains(said, test[1]) {
			t.Errorf("%s: %s", test[0], said)
		}
	}
}

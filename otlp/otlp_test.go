package otlp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver takes spans as a collector does.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	spans   []*trace.Span
	headers http.Header
}

// answers say of each request which status it gets, the last also of all that follow.
func receive(t *testing.T, rejected int64, answers ...int) *receiver {
	t.Helper()
	r := &receiver{}
	n := 0
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		code := answers[min(n, len(answers)-1)]
		n++
		body, err := io.ReadAll(q.Body)
		var said collector.ExportTraceServiceRequest
		if err != nil || q.URL.Path != "/v1/traces" || proto.Unmarshal(body, &said) != nil {
			code = http.StatusNotFound
		}
		if r.headers = q.Header; code != http.StatusOK {
			w.WriteHeader(code)
			return
		}
		for _, resource := range said.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				r.spans = append(r.spans, scope.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		answer := &collector.ExportTraceServiceResponse{}
		if rejected > 0 {
			answer.PartialSuccess = &collector.ExportTracePartialSuccess{RejectedSpans: rejected, ErrorMessage: "too old"}
		}
		text, err := proto.Marshal(answer)
		if err != nil {
			t.Error(err)
		}
		w.Write(text)
	}))
	t.Cleanup(r.Close)
	return r
}

func TestSender(t *testing.T) {
	for _, test := range []struct {
		name     string
		rejected int64
		answers  []int
		want     Counts
		err      error
		says     string
	}{
		{name: "taken", answers: []int{200}, want: Counts{Sent: 3}},
		{name: "taken later", answers: []int{503, 429, 200}, want: Counts{Sent: 3}},
		{name: "refused", answers: []int{401}, want: Counts{Refused: 3}, err: ErrRefused, says: "401 Unauthorized"},
		{name: "elsewhere", answers: []int{307}, want: Counts{Refused: 3}, err: ErrRefused, says: "307"},
		{name: "partly", rejected: 2, answers: []int{200}, want: Counts{Sent: 1, Refused: 2}, says: "too old"},
		{name: "more than there were", rejected: 99, answers: []int{200}, want: Counts{Refused: 3}, says: "too old"},
		{name: "never", answers: []int{503}, want: Counts{Dropped: 3}, says: "503"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := receive(t, test.rejected, test.answers...)
			header, err := ParseHeader("authorization=Bearer%20x, a=b")
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(Options{URL: r.URL, Header: header})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				s.Put(&Span{Trace: NewTraceID(), ID: NewSpanID(), Name: "f", Start: time.Unix(1, 2), End: time.Unix(1, 5)})
			}
			got, err := s.Close(context.Background())
			if got != test.want || (err != nil) != (test.says != "") || test.err != nil && !errors.Is(err, test.err) ||
				err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%+v, %v", got, err)
			}
			if r.headers.Get("Authorization") != "Bearer x" || r.headers.Get("A") != "b" {
				t.Errorf("%v", r.headers)
			}
		})
	}
}

// TestSenderEnds has a receiver that never answers: who ends doesn't wait for it.
func TestSenderEnds(t *testing.T) {
	begun, over := make(chan bool), make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(begun)
		<-over
	}))
	defer server.Close()
	defer close(over)
	s, err := Open(Options{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	s.Put(&Span{Name: "f"})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-begun
		cancel()
	}()
	if c, err := s.Close(ctx); c != (Counts{Dropped: 1}) || !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestFlows(t *testing.T) {
	at := func(n int) time.Time { return time.Unix(100, int64(n)) }
	var got []*Span
	f := NewFlows(func(s *Span) { got = append(got, s) })
	for _, s := range []Step{
		{What: "step", Flow: 9, Func: "nobody's"},
		{What: "enter", Flow: 1, Func: "handle", Time: at(1), Goroutine: 5, Attrs: []Attr{{"key", "k"}}},
		{What: "enter", Flow: 2, Func: "handle", Time: at(2), Goroutine: 6},
		{What: "go", Flow: 1, Time: at(3), Goroutine: 5, Started: 7},
		{What: "go", Flow: 1, Time: at(4), Goroutine: 7, Started: 8},
		{What: "step", Flow: 1, Func: "lookup", Time: at(5), Goroutine: 7},
		{What: "step", Flow: 2, Func: "other", Time: at(6), Goroutine: 6},
		{What: "end", Flow: 1, Time: at(7), Goroutine: 7},
		{What: "leave", Flow: 1, Time: at(8), Goroutine: 5},
		{What: "end", Flow: 2, Time: at(9), Goroutine: 6, Failed: "Goexit"},
		{What: "enter", Flow: 3, Func: "handle", Time: at(10), Goroutine: 5},
	} {
		f.Step(&s)
	}
	f.Close(at(11))
	type want struct {
		name       string
		parent     int
		start, end int
		events     string
		failed     bool
	}
	for i, w := range []want{{"handle", -1, 1, 8, "", false}, {"goroutine 7", 0, 3, 7, "lookup", false},
		{"goroutine 8", 1, 4, 8, "", false}, {"handle", -1, 2, 9, "other", true}, {"handle", -1, 10, 11, "", true}} {
		if i >= len(got) {
			t.Fatalf("%d spans", len(got))
		}
		s := got[i]
		parent := SpanID{}
		if w.parent >= 0 {
			parent = got[w.parent].ID
			if s.Trace != got[w.parent].Trace {
				t.Errorf("span %d is in another trace", i)
			}
		}
		events := ""
		for _, e := range s.Events {
			events += e.Name
		}
		if s.Name != w.name || s.Parent != parent || !s.Start.Equal(at(w.start)) || !s.End.Equal(at(w.end)) ||
			events != w.events || (s.Failed != "") != w.failed {
			t.Errorf("span %d: %+v, want %+v", i, s, w)
		}
	}
	if len(got) != 5 || got[0].Trace == got[3].Trace {
		t.Errorf("%d spans", len(got))
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{"http://c:4318": "http://c:4318/v1/traces", "https://c/x": "https://c/x",
		"c:4318": "", "ftp://c": "", "": "", "http://": ""} {
		if u, err := ParseURL(text); (err == nil) != (want != "") || err == nil && u.String() != want {
			t.Errorf("%s: %v, %v", text, u, err)
		}
	}
	for _, text := range []string{"a", "=b", "a=%zz", "a=b%0d%0ac: d"} {
		if h, err := ParseHeader(text); err == nil {
			t.Errorf("%q: %v", text, h)
		}
	}
}

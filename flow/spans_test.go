package flow

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"ri/otlp"
)

// TestSpans has a flow through two hosts, each of which tells for itself, be one trace: where it leaves is below where
// it entered.
func TestSpans(t *testing.T) {
	type seen struct{ id, parent, trace, service, side string }
	var mu sync.Mutex
	got := map[string]seen{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var said collector.ExportTraceServiceRequest
		body, err := io.ReadAll(r.Body)
		if err != nil || proto.Unmarshal(body, &said) != nil {
			t.Error("no spans")
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range said.ResourceSpans {
			one := seen{}
			for _, a := range resource.Resource.Attributes {
				if a.Key == "service.name" {
					one.service += a.Value.GetStringValue()
				}
			}
			for _, s := range resource.ScopeSpans[0].Spans {
				one.id, one.parent = hex.EncodeToString(s.SpanId), hex.EncodeToString(s.ParentSpanId)
				one.trace, one.side = hex.EncodeToString(s.TraceId), ""
				for _, a := range s.Attributes {
					if a.Key == "ri.side" {
						one.side = a.Value.GetStringValue()
					}
				}
				got[s.Name] = one
			}
		}
	}))
	defer server.Close()
	const flow = "9582b1e5-0f0a-4f0e-8c7c-0123456789ab"
	host := func(name string, lines ...Line) {
		to, err := otlp.Open(otlp.Options{URL: server.URL, Resource: []otlp.Attr{{Key: "service.name", Value: "ri"}}})
		if err != nil {
			t.Fatal(err)
		}
		s := NewSpans(to)
		for _, l := range lines {
			l.Host, l.Trace = name, "7b17"
			if err := s.Write(l); err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	host("gw1", Line{Flow: flow, Cookie: "0102030405060708", Side: ingress, What: whatEnter, Func: "handle",
		Target: "gateway:12", Goroutine: 3, Values: map[string]any{"r.ID": json.Number("7")}},
		Line{Flow: flow, Cookie: "0102030405060708", Side: ingress, What: whatLeave, Goroutine: 3})
	host("st1",
		Line{Flow: flow, Cookie: "1112131415161718", Side: egress, What: whatHit, Func: "serve", Target: "store:9"},
		Line{Flow: flow, Cookie: "2122232425262728", Side: egress, What: whatEnter, Func: "unsure", Target: "store:9"},
		Line{Flow: flow, Cookie: "2122232425262728", Side: egress, What: whatAmbiguous},
		Line{Flow: "", Cookie: "3132333435363738", What: whatEnter, Func: "nobody's"},
		Line{Flow: "../x", Cookie: "zz", What: whatEnter, Func: "no id"})
	mu.Lock()
	defer mu.Unlock()
	in, out := got["handle"], got["serve"]
	if len(got) != 2 || in.trace != "9582b1e50f0a4f0e8c7c0123456789ab" || out.trace != in.trace || in.parent != "" ||
		out.parent != in.id || out.id != "1112131415161718" || in.service != "gateway" || out.service != "store" ||
		in.side != ingress || out.side != egress {
		t.Errorf("%+v", got)
	}
}

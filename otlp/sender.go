package otlp

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resource "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// ErrRefused is wrapped where whoever takes spans won't have these, and would not later.
var ErrRefused = errors.New("the spans were refused")

// Limits of what waits, and of how it is sent.
const (
	queued   = 4096 // spans that wait; more are dropped, and counted
	batched  = 512  // spans that are sent at once
	every    = time.Second
	attempts = 4 // of a batch
	patience = 10 * time.Second
	answer   = 1 << 20 // bytes of an answer that are read
)

// Options say to whom spans are given, and of what.
type Options struct {
	URL      string      // http://HOST:4318, whose path is /v1/traces if it has none
	Header   http.Header // as an authorization
	Resource []Attr      // as service.name
	Version  string      // ri's
	Client   *http.Client
}

// Counts is what became of spans.
type Counts struct{ Sent, Dropped, Refused int }

// waiting is a span that is to be sent.
type waiting struct {
	span    *trace.Span
	service string
}

// Sender gives spans away, in the background. Put may be called from several goroutines.
type Sender struct {
	opt     Options
	to      *url.URL
	spans   chan *waiting
	ended   chan struct{}
	stop    context.CancelFunc
	mu      sync.Mutex
	counts  Counts
	problem error
}

// ParseURL reads where spans go.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is no address of an OTLP receiver: http://HOST:4318", text)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	return u, nil
}

// ParseHeader reads headers as OTEL_EXPORTER_OTLP_HEADERS has them: name=value, with commas between.
func ParseHeader(text string) (http.Header, error) {
	out := http.Header{}
	for _, one := range strings.Split(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		name, value, ok := strings.Cut(one, "=")
		clear, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || name == "" || err != nil || strings.ContainsAny(name+clear, "\r\n") {
			return nil, errors.New("OTEL_EXPORTER_OTLP_HEADERS: headers are name=value, with commas between")
		}
		out.Add(name, clear)
	}
	return out, nil
}

// Open begins to give spans away.
func Open(opt Options) (*Sender, error) {
	u, err := ParseURL(opt.URL)
	if err != nil {
		return nil, err
	}
	if opt.Client == nil {
		// A redirect would take the headers, with their secrets, to somebody else.
		opt.Client = &http.Client{Timeout: patience,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Sender{opt: opt, to: u, spans: make(chan *waiting, queued), ended: make(chan struct{}),
		stop: stop}
	go s.run(ctx)
	return s, nil
}

// Put gives a span away. It never waits: where too many wait already, it is dropped and counted.
func (s *Sender) Put(span *Span) {
	select {
	case s.spans <- &waiting{span.proto(), span.Service}:
	default:
		s.mu.Lock()
		s.counts.Dropped++
		s.mu.Unlock()
	}
}

// Close sends what waits, for as long as ctx allows, and says what became of all. Nothing may be put any more. The
// error is the first that kept spans from being sent.
func (s *Sender) Close(ctx context.Context) (Counts, error) {
	close(s.spans)
	select {
	case <-s.ended:
	case <-ctx.Done():
		s.stop()
		<-s.ended
	}
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts, s.problem
}

func (s *Sender) run(ctx context.Context) {
	defer close(s.ended)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var batch []*waiting
	send := func() {
		if len(batch) > 0 {
			s.count(len(batch), s.send(ctx, batch))
			batch = nil
		}
	}
	for {
		select {
		case span, ok := <-s.spans:
			if !ok {
				send()
				return
			}
			if batch = append(batch, span); len(batch) >= batched {
				send()
			}
		case <-ticker.C:
			send()
		}
	}
}

func (s *Sender) count(n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var part *partly
	switch {
	case err == nil:
		s.counts.Sent += n
	case errors.As(err, &part):
		refused := int(min(max(part.refused, 0), int64(n)))
		s.counts.Sent, s.counts.Refused = s.counts.Sent+n-refused, s.counts.Refused+refused
	case errors.Is(err, ErrRefused):
		s.counts.Refused += n
	default:
		s.counts.Dropped += n
	}
	s.problem = cmp.Or(s.problem, err)
}

// partly is the error of a batch of which some was refused.
type partly struct {
	refused int64
	why     string
}

func (p *partly) Error() string { return fmt.Sprintf("%d spans were refused: %s", p.refused, p.why) }

// send sends a batch, again where that may help.
func (s *Sender) send(ctx context.Context, batch []*waiting) error {
	body, err := proto.Marshal(&collector.ExportTraceServiceRequest{ResourceSpans: s.resources(batch)})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	for i := 1; ; i++ {
		again, err := s.post(ctx, body)
		if err == nil || !again || i == attempts {
			return err
		}
		select {
		case <-time.After(time.Duration(i*i) * 100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// resources are the spans of a batch by whose they are.
func (s *Sender) resources(batch []*waiting) (out []*trace.ResourceSpans) {
	by := map[string]*trace.ScopeSpans{}
	for _, w := range batch {
		if by[w.service] == nil {
			of := slices.DeleteFunc(slices.Clone(s.opt.Resource), func(a Attr) bool {
				return w.service != "" && a.Key == serviceName
			})
			if w.service != "" {
				of = append(of, Attr{serviceName, w.service})
			}
			by[w.service] = &trace.ScopeSpans{Scope: &common.InstrumentationScope{Name: "ri", Version: s.opt.Version}}
			out = append(out, &trace.ResourceSpans{Resource: &resource.Resource{Attributes: attributes(of)},
				ScopeSpans: []*trace.ScopeSpans{by[w.service]}})
		}
		by[w.service].Spans = append(by[w.service].Spans, w.span)
	}
	return out
}

// serviceName is the attribute of a resource by which receivers tell whose spans these are.
const serviceName = "service.name"

// post sends a body once, and says whether it may be sent again.
func (s *Sender) post(ctx context.Context, body []byte) (again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.to.String(), bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	for name, values := range s.opt.Header {
		request.Header[name] = values
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	request.Header.Set("User-Agent", "ri/"+s.opt.Version)
	response, err := s.opt.Client.Do(request)
	if err != nil {
		return true, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, answer))
	switch code := response.StatusCode; {
	case err != nil:
		return true, fmt.Errorf("%s: %w", s.to.Redacted(), err)
	case code == http.StatusTooManyRequests || code >= 502 && code <= 504:
		return true, fmt.Errorf("%s says %s", s.to.Redacted(), response.Status)
	case code/100 != 2:
		return false, fmt.Errorf("%s says %s: %w", s.to.Redacted(), response.Status, ErrRefused)
	}
	var said collector.ExportTraceServiceResponse
	if response.Header.Get("Content-Type") == "application/x-protobuf" && proto.Unmarshal(text, &said) == nil {
		if p := said.GetPartialSuccess(); p.GetRejectedSpans() > 0 {
			return false, &partly{p.GetRejectedSpans(), p.GetErrorMessage()}
		}
	}
	return false, nil
}

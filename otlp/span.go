package otlp

import (
	"time"

	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
)

// Attr is an attribute. Value is a string, bool, int64, uint64 or float64; of all else there is none.
type Attr struct {
	Key   string
	Value any
}

// Event is something that happened at one time.
type Event struct {
	Time  time.Time
	Name  string
	Attrs []Attr
}

// TraceID and SpanID are those of OpenTelemetry. A SpanID of zeros is none.
type (
	TraceID [16]byte
	SpanID  [8]byte
)

// Span is a call, or a goroutine, from its beginning to its end.
type Span struct {
	Trace      TraceID
	ID, Parent SpanID
	Name       string
	Start, End time.Time
	Attrs      []Attr
	Events     []Event
	Failed     string // why it is an error; "": it is none
	Service    string // whose it is; "": as the sender's resource says
}

func (s *Span) proto() *trace.Span {
	out := &trace.Span{TraceId: s.Trace[:], SpanId: s.ID[:], Name: s.Name, Kind: trace.Span_SPAN_KIND_INTERNAL,
		StartTimeUnixNano: uint64(s.Start.UnixNano()), EndTimeUnixNano: uint64(s.End.UnixNano()),
		Attributes: attributes(s.Attrs)}
	if s.Parent != (SpanID{}) {
		out.ParentSpanId = s.Parent[:]
	}
	for _, e := range s.Events {
		out.Events = append(out.Events, &trace.Span_Event{TimeUnixNano: uint64(e.Time.UnixNano()), Name: e.Name,
			Attributes: attributes(e.Attrs)})
	}
	if s.Failed != "" {
		out.Status = &trace.Status{Code: trace.Status_STATUS_CODE_ERROR, Message: s.Failed}
	}
	return out
}

func attributes(list []Attr) (out []*common.KeyValue) {
	for _, a := range list {
		v := &common.AnyValue{}
		switch x := a.Value.(type) {
		case string:
			v.Value = &common.AnyValue_StringValue{StringValue: x}
		case bool:
			v.Value = &common.AnyValue_BoolValue{BoolValue: x}
		case int64:
			v.Value = &common.AnyValue_IntValue{IntValue: x}
		case uint64: // OTLP has signed integers alone
			v.Value = &common.AnyValue_IntValue{IntValue: int64(x)}
		case float64:
			v.Value = &common.AnyValue_DoubleValue{DoubleValue: x}
		default:
			continue
		}
		out = append(out, &common.KeyValue{Key: a.Key, Value: v})
	}
	return out
}

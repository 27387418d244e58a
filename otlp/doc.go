// Package otlp gives what was traced to whoever takes OpenTelemetry's protocol: a collector, Jaeger, Tempo. A call is a
// span; what its goroutine passed on the way are events of it, and goroutines that it started are spans below.
//
// It speaks OTLP 1.x over HTTP, as protobuf (opentelemetry-proto 1.x; opentelemetry.io/docs/specs/otlp). The generated
// types of OpenTelemetry are used, and none of its SDK, which is for programs that trace themselves.
//
// What may not come in: probes, values of a target, Lua. Who calls has redacted what he gives.
package otlp

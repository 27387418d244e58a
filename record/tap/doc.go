// Package tap records calls at a boundary: it has a trace's probes take along what passes, and writes events of package
// calls. Values are redacted when a hit is read, by the rules of package redact, before anything of them is kept.
//
// A hit comes when its call returns. Events are in the order in which things happened, so they are gathered, in memory
// and in a file without a name that only has what was redacted, and sorted once the recording ends.
//
// What the library sends to itself is paired with where it received that (channels.go) and kept as a place in the
// order.
//
// What may not come in: BPF, Lua, terminals, flags.
package tap

// Package streams is what a recording of streams holds: the events of a program's connections in one order, and what
// is known of the process (docs/streams.md). The container is record/format's.
//
// An event is a connection that came to be, bytes that came in or went out, an end, or what the program asked of its
// surroundings: the time, random bytes. Sizes are of everything; bytes only of what was asked for.
//
// What may not come in: processes, sockets, the kernel. A file comes from anybody: nothing in it is believed, and all
// of it is bounded.
package streams

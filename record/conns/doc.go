// Package conns makes the events of a recording of streams (record/streams) of a process' system calls on sockets
// (probe/kernel): it puts them in their one order, knows which connection a descriptor is of, and what of it has been
// seen.
//
// A connection has its place in the order where the program knows it: Go asks for its own address once it has accepted
// or dialled, and nothing is read or written before.
//
// What may not come in: BPF, executables, files of recordings. What is kept of bytes is decided in record/scrub.
package conns

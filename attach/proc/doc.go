// Package proc reads what /proc tells of processes and of this machine, without a stop: which Go programs run, their
// status and memory map, which pages of theirs are there, their descriptors and sockets, and why the kernel may have
// refused something.
//
// What may not come in: ptrace, reading of memory, anything that a process would notice.
package proc

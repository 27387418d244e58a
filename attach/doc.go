// Package attach is where the bytes come from: a live process or a core, and later
// a snapshot or a recording. It stops a process and lets it go again.
//
// It gives bytes and registers and knows no Go types. What is above it sees
// a [Target] (what is looked at), a [View] of it (one look: memory, threads, and a time to
// close) and never knows which kind it has.
//
// Looking writes nothing: PTRACE_SEIZE and PTRACE_INTERRUPT, no breakpoint, no option that
// outlives us, process_vm_readv for memory. One OS thread owns ptrace; scripts never run on it, so that the deadline can always fire.
//
// What may not come in: Go types, symbols' names, Lua, printing.
package attach

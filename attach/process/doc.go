// Package process is live processes as targets: reading them as they run, stopping them and letting them go, copying
// their memory, writing to it, watching them die.
//
// Looking writes nothing: PTRACE_SEIZE and PTRACE_INTERRUPT, no breakpoint, no option that outlives us,
// process_vm_readv for memory. One OS thread owns ptrace; scripts never run on it, so that the deadline can always
// fire.
//
// Files named for the system and the processor hold what is theirs; on others processes are refused.
//
// What may not come in: Go types, symbols' names, Lua, printing.
package process

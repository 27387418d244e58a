// Package attach says what is looked at and how: a [Target] (a process, a core), a [View] of it (one look: memory,
// threads, and a time to close), what only some kinds of either can do, and the page cache over a view. It gives bytes
// and registers and knows no Go types. What is above it never knows which kind it has.
//
// The rooms under it make targets:
//
//	targettest   programs that tests look at
//	proc         what /proc tells of processes and of this machine, without a stop
//	core         cores: reading them, and the form in which they are written
//	sample       samples of CPU time
//	process      live processes: reading, stopping and letting go, copying, writing, watching
//
// What may not come in: system calls on a target, Go types, symbols' names, Lua, printing.
package attach

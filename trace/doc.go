// Package trace has a process tell what passes by: calls of functions, with what they were given and what they gave.
//
// A [Request] says of which functions, under which condition, and what of each call is wanted. A [Plan] is that for one
// program: the places that are probed (package probe/place), and what is done there (package probe/compile). Nothing of
// the process has been touched by then, and what can't be done was refused. [Plan.Run] has the kernel arm it (package
// probe/kernel), and makes a row of each hit.
//
// What may not come in: BPF, Lua, terminals, flags.
package trace

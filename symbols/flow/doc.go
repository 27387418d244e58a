// Package flow reads machine code of Go functions (amd64). It says which locks a function holds at a given place, and
// where their addresses are.
//
// Go's mutexes record no holder, and optimised code keeps no variable that would tell. But the code itself does.
// [Program.At] follows every path from a function's entry to a place. Registers and stack slots hold expressions over
// what the function was given. It notes where sync.(*Mutex).Lock and its like were passed, inlined or called, and
// Unlock was not. What all paths agree on holds. An expression such as "what was in AX at the entry, plus 8" is then
// found again in the frame: the slot that it was saved to is known too.
//
// Functions that lock and return, and those that unlock for their caller, are followed for a few levels. Deferred
// unlocks are followed where they are open-coded, which they are outside of loops. TryLock is followed to the branch on
// its result (tries.go). Loops that lock many count again what they have counted (rounds.go). What is called through an
// interface is left to who can read the itab (interfaces.go). What can't be followed is left out: func values, helpers
// that lock many and return. flow says less rather than what isn't so.
//
// What may not come in: target memory; who waits for what. It reads the executable only.
package flow

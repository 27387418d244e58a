// Package layout says where a program keeps the structures of the Go runtime that ri reads: goroutines, threads,
// channels, queues, locks, maps, timers, the heap.
//
// A structure is declared in one place: its type, its fields, since and until when Go has them, whether ri can do
// without. A field is found by its name in the program's own types, never by the program's version. [Of] compiles all
// declarations for a program, once, before it is stopped.
//
// There is one policy for what a program lacks. A required field that isn't there makes its group unavailable:
// [Group.Err] and [Layouts.Lacks] name what is missing, and instruments that need the group are refused before the
// stop. An optional field that isn't there is a [Field] that isn't Known; who reads it says "not recorded", not zero.
//
// What may not come in: memory, values, anything that differs between two looks at one program.
package layout

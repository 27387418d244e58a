// Package core reads core files, of the kernel, gdb, dlv and ri, as a target that stands still, and knows the form in
// which they are written. Of executables it reads which parts of them lie in memory, since a core leaves those out.
//
// All that a core says may be broken: what it makes ri allocate is bounded, and what is missing says why.
//
// What may not come in: live processes, Go types.
package core

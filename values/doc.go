// Package values gives typed views of target memory: fields, elements, maps,
// interfaces, goroutines, stacks. It joins symbols (what the bytes mean) with attach (the
// bytes) and knows neither Lua nor ptrace.
//
// A [Space] is a program in memory: symbols, load bias, and a page cache over one view. A [Value] is an
// address and a type in it; nothing is read until it is asked for. Everything may be garbage: every
// length is checked against a limit, every walk is bounded, and errors say which address failed and why.
//
// What may not come in: scripts, recipes, rendering of rows, operating-system calls.
package values

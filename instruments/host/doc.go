// Package host runs Lua: a [Host] is a machine whose scripts see a program's memory as Go values, and give rows.
//
// An instrument is one Lua file with a header that declares what it is: parameters, what it needs of the program,
// columns. A [Script] is such a file, compiled. The bindings (ri.var, ri.pairs, ri.goroutines, ...) are one file for
// each subject; package lang lists them all with their documentation. A [Prompt] is a host whose scripts are typed
// lines.
//
// A script is not trusted: its time, memory and rows are limited, and it reaches nothing but the memory that it was
// given.
//
// What may not come in: where the memory comes from (stops, snapshots, rounds), catalogues, terminals, addresses that
// no value gave.
package host

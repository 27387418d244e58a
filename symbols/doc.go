// Package symbols is what an executable says of itself: package variables,
// types and their layouts, named constants, functions and lines.
//
// It reads an ELF file (DWARF 4 and 5 as cmd/compile and cmd/link write it, pclntab
// of Go 1.18 and later, build info) and knows no process: every address
// here is a link-time address, and whoever joins a File with a
// running process adds the load bias (see [File.Entry]).
//
// One pass over .debug_info at Open indexes names only; types are
// laid out when they are first asked for, then kept. Everything is safe for
// concurrent use after Open.
//
// What may not come in: processes, memory, registers, Delve's BinaryInfo and
// godwarf types, Lua.
package symbols

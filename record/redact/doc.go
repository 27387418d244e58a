// Package redact decides what of a target's memory may be kept: by what a byte is, before it is written, and denied
// unless something says otherwise.
//
// A [Policy] compiles a Go type to a [Layout]: what each of its bytes is, and what is to be done with it ([Action]).
// Names of types, fields and functions, constants of the program, single numbers, states and lengths are kept; contents
// are not. A text that is not kept becomes a token (see [Tokens]): as long as the text, equal for equal texts, and
// nothing else.
//
// What may not come in: memory, views, files. Who reads and who writes asks here, byte by byte.
package redact

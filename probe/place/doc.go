// Package place finds where a program can be probed, and what stands there: the sites of a function, a method of an
// interface, a pattern, a line; of calls that were inlined; of returns; and the pieces in which arguments and results
// lie at a site.
//
// A site is chosen for what it costs and for what is whole there: after the stack check, where the registers still have
// all arguments. What can't be probed is refused by name, with the reason.
//
// What may not come in: BPF, processes, expressions.
package place

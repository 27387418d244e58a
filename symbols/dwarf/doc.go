// Package dwarf reads debug information as Go's compiler and linker write it: the entries of .debug_info with the
// attributes that ri uses, and the ranges and location lists that they refer to. It reads DWARF 2 to 5 with 64-bit
// addresses, little-endian.
//
// Everything in the sections may be broken. What can't be is an error, and nothing is read beyond its section.
//
// What may not come in: Go's types and what they mean, which package symbols knows. Location expressions are bytes
// here.
package dwarf

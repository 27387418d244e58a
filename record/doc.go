// Package record makes recordings of state: what instruments looked at in one instant, redacted before a byte of it is
// written.
//
// An instrument runs on a copy of the process as ever. Meanwhile a [Sight] hears of every read, and as what type memory
// is looked at. What was looked at as a type is kept by the rules of package redact; what was read as a word of no type
// is kept if it is an address; all else is not kept. Nothing is taken for granted: bytes that were not read, or that no
// type is known of, are holes, and a hole is an error to read.
//
// Texts that may not be kept are replaced out of line. Strings share bytes, so a text can't be changed where it lies:
// each distinct text has a token, in memory that the process never had, and every header of it leads there.
//
// What may not come in: how a process is stopped, what is printed.
package record

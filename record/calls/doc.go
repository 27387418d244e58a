// Package calls is the file format of recordings of calls at a library's boundary: lines of JSON that a person reads,
// and a program replays (docs/calls.md). The first line is a [Header], each further one an [Event], the last an [End]
// with counts and a checksum.
//
// A recording says of each value what it is: natural JSON, and an object with a key that begins with a dollar where
// JSON has nothing of the kind (bytes, a type behind an interface, the same pointer once more, a text that was
// replaced, what is not there and why).
//
// What may not come in: processes, memory, Go types. A file comes from anybody: nothing in it is believed, and all of
// it is bounded.
package calls

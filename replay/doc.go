// Package replay makes a Go test of a recording of calls: a test in the library's own package, which makes the calls
// that came in again, answers those that went out from the recording, and fails with the first that differs.
//
// A recording comes from anybody, so its text is data only: the test reads it from a file. All names in the generated
// source are those of objects that go/types found in the library's own source; a recording's names only choose among
// them.
//
// What may not come in: processes, memory.
package replay

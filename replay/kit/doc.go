// Package kit is what a generated test of a recording of calls runs on. Its text is written beside the test, in the
// library's own package, so that the test depends on nothing but Go: all its names begin with ri, and it imports the
// standard library only.
//
// A recording is read (read.go), what is to be done to the library is put in order (order.go, leads.go), and done, for
// each group of receivers (group.go), in tries (choice.go) of which each is one replay (replay.go): calls that come in
// (call.go), calls that go out and are answered (out.go), what is received (feed.go) and sent (sent.go).
//
// What may not come in: anything of ri's other rooms.
package kit

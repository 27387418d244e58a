// Package kit is what a generated test of a recording of calls runs on. Its text is written beside the test, in the
// library's own package, so that the test depends on nothing but Go: all its names begin with ri, and it imports the
// standard library only.
//
// What may not come in: anything of ri's other rooms.
package kit

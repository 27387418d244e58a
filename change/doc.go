// Package change corrects state in a running process: transactions that happen whole or not at all, the journal in
// which each is written down before it happens, and undo.
//
// A [Plan] is worked out on a snapshot: places, types, new bytes, and the words of memory on the way to each place.
// [Commit] writes the intent into the journal and waits for the disk; then it stops the target, reads all those words
// and the bytes to be changed again, compares, writes, reads back, and lets the target go; the outcome is appended. Any
// difference leaves, or puts back, what was there.
//
// What may not come in: Lua, rendering, addresses that no value gave, any way to write but attach's.
package change

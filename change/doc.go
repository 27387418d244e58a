// Package change corrects state in a running process. A transaction happens whole or not at all; it is written into a
// journal before it happens; and it can be undone.
//
// A [Plan] is worked out on a snapshot: places, types, new bytes, and the words of memory on the way to each place.
// [Commit] writes the intent into the journal and waits for the disk. Then it stops the target, and reads all those
// words, and the bytes to be changed, again. It compares, writes, reads back, and lets the target go. The outcome is
// appended. Any difference leaves, or puts back, what was there.
//
// What may not come in: Lua, rendering, addresses that no value gave, any way to write but attach's.
package change

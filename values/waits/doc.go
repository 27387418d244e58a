// Package waits tells who waits for locks and channels, and who has them.
//
// Who waits the runtime records: goroutines in the queues of locks, WaitGroups and channels ([Reader.Waits]). Who has
// a lock it doesn't record. That is inferred from the machine code of the functions on each stack, which package flow
// reads, and from what their frames hold ([Reader.FindHolders]); so is who sends, receives or calls Done
// ([Reader.Users]).
//
// What may not come in: the heap, judgements of what is wrong, rendering. Nothing in values knows of this room.
package waits

// Package recorded is the memory of a recording as a target: what was in a process at one instant, redacted.
//
// What was recorded is known by bytes, not by pages. A byte that wasn't looked at when the recording was made is an
// error to read ([ErrNotRecorded]), and so is one that was not kept; neither is ever zero.
//
// A recording comes from elsewhere. Nothing in it is believed, and it costs no more memory than what is asked of it:
// blocks are read when an address in them is, and few are held.
//
// What may not come in: Go types, how recordings are made, what is kept.
package recorded

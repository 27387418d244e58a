// Package player replays a program from a recording of its streams: the unmodified binary runs in a sandbox
// (replay/sandbox), and the player is everybody that it had to do with: the clients that came in, the servers that it
// dialled, the name server, the clock and the source of random bytes.
//
// What came in is played in the recording's order, as soon as the program has done its part: every output that the
// recording has before it has come, or nothing moves any more and the output is short. What the program dials is
// answered by content, for each peer: a request is answered with what followed the same bytes in the recording, and
// nothing else. Outputs are compared by stream, at the recording's boundaries, whatever the program's writes are.
//
// A recording comes from anybody. It says what comes in, and under which path, arguments and environment the program
// runs; which executable that is, says who replays. Nothing of a recording is executed: files that come along are put
// where they were, but not where a loader would take code from, and never executable.
//
// What may not come in: the kernel's interfaces (replay/sandbox), recording.
package player

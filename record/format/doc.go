// Package format is the file of a recording: a header that people can read, blocks, an index, an end mark.
// docs/recording.md describes it well enough that somebody else can write a reader.
//
// A [Writer] writes blocks as they come and never has a whole recording in memory. A [Reader] reads a block when it is
// asked for it; a file without an end mark is one that was cut short, and what is there reads.
//
// Nothing in a file is believed: every size is bounded before memory is taken for it, every block has a checksum, and
// an index that lies is found out. What may not come in: what the blocks mean, targets, redaction.
package format

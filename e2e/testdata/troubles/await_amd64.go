package main

// await1 waits for a word to be set, in assembler: it can't be preempted.
func await1(p *uint64)

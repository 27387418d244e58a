//go:build !amd64

package main

// await1 waits for a word to be set.
func await1(p *uint64) { crunch(1 << 62) }

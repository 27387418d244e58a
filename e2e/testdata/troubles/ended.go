package main

import (
	"bufio"
	"bytes"
	"io"
	"strings"
)

// Loops that read and don't ask for the error: what they compare is the way out.

type console struct{ given []string }

// attend takes what isn't "quit" for a command.
//
//go:noinline
func (c *console) attend(r *bufio.Reader) {
	for {
		line, _ := r.ReadString('\n')
		switch line = strings.TrimSpace(line); line {
		case "":
		case "quit":
			return
		default:
			c.given = append(c.given, line)
		}
	}
}

// packets ends with one of seven bytes.
//
//go:noinline
func packets(r *bufio.Reader) {
	for {
		line, more, err := r.ReadLine()
		if len(line) == 7 && !more || err != nil && err != io.EOF {
			return
		}
	}
}

// gather wants more than there is.
//
//go:noinline
func gather(r io.Reader) {
	var all bytes.Buffer
	for all.Len() < 100 {
		io.CopyN(&all, r, 10)
	}
}

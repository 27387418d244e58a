package values

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// maxFatalText bounds the text of a fatal error, in bytes.
const maxFatalText = 1024

// FatalText gives the text that a frame of runtime.throw or runtime.fatal was called with; ok is false for other frames and where it is lost.
//
// Both hand it to a closure that prints it, and which lies in their frame: the closure's function, the text's address, its length. That is
// found by its looks, since optimised code doesn't say where an argument is after the call that it was needed for.
func (s *Space) FatalText(f *Frame) (text string, ok bool) {
	if f.Func != "runtime.throw" && f.Func != "runtime.fatal" || f.Inlined {
		return "", false
	}
	info, known := s.PC(f.PC)
	if !known || info.FrameSize < 0 || info.FrameSize > 1<<12 {
		return "", false
	}
	// The frame itself, and behind the return address the slots where the argument may have been saved.
	size := s.arch.FrameBytes(info.FrameSize)
	words, err := s.Slice(f.CFA-uint64(size), int(size)+16)
	if err != nil {
		return "", false
	}
	for at := 0; at+16 <= len(words); at += 8 {
		data, n := binary.LittleEndian.Uint64(words[at:]), binary.LittleEndian.Uint64(words[at+8:])
		if data < 1<<16 || n < 3 || n > maxFatalText {
			continue
		}
		b, err := s.Slice(data, int(n))
		if err == nil && utf8.Valid(b) && bytes.IndexFunc(b, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }) < 0 {
			return string(b), true
		}
	}
	return "", false
}

package scrub

// HTTP/2 (RFC 9113): a client begins with preface, and all else is frames: a length of 3 bytes, a type, flags, a
// stream's number of 4 bytes, and the payload. Header fields are compressed in a way that depends on all before (RFC
// 7541), and a secret in there can be neither found nor replaced without a change of what follows.
const (
	preface       = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	frameHead     = 9
	frameHeaders  = 1
	framePush     = 5
	frameContinue = 9
)

// Blanked is how many header blocks of HTTP/2 were blanked.
func (s *Scrubber) Blanked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blanks
}

// frames goes through HTTP/2's frames in b, and blanks those with header fields. It gives up to where all is decided,
// and where the next frame begins.
func (x *Stream) frames(b []byte, end bool) (limit, next int) {
	if n := min(x.blank, len(b)); n > 0 {
		clear(b[:n])
		x.blank -= n
		x.floor = n
	}
	at := x.skip
	for at < len(b) {
		rest := b[at:]
		if len(rest) < frameHead {
			break
		}
		size := int(rest[0])<<16 | int(rest[1])<<8 | int(rest[2])
		switch rest[3] {
		case frameHeaders, framePush, frameContinue:
			if !x.s.KeepHeaders {
				n := min(size, len(rest)-frameHead)
				clear(rest[frameHead : frameHead+n])
				x.blank = size - n
				x.floor = at + frameHead + n
				x.s.mu.Lock()
				x.s.blanks++
				x.s.mu.Unlock()
			}
		}
		at += frameHead + size
	}
	if at < len(b) && !end {
		return at, at
	}
	return len(b), at
}

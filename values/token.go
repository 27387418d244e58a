package values

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ri/attach"
)

// A recording has tokens in the place of texts that were not kept: as long, equal for equal texts, and nothing else is
// known of them. They are shown between marks, so that nobody takes them for the text, and what doesn't print as
// hexadecimal digits. What was made of a marked text is marked.
const (
	tokenOpen  = "‹"
	tokenClose = "›"

	notKept, notRecorded = "not kept", "not recorded" // between them, where there is no token
)

// ErrToken: a text that was not kept was compared with one that is known, or taken apart.
var ErrToken = errors.New("the text was not kept in the recording, a token stands for it")

// NewTokenError says what can't be done with a token, and what helps.
func NewTokenError(what string) error {
	return fmt.Errorf("%s: %w; tokens can only be compared with each other (ri record --policy FILE keeps the text)",
		what, ErrToken)
}

// IsToken tells whether a text is, or was made of, one that was not kept.
func IsToken(text string) bool { return strings.Contains(text, tokenOpen) }

// tokens is a view of which some bytes stand for others.
type tokens interface{ IsToken(addr uint64) bool }

// HasTokens tells whether texts may be tokens here.
func (s *Space) HasTokens() bool {
	_, ok := s.mem.Beneath().(tokens)
	return ok
}

// Known gives a text that was read at an address as it may be taken: as it is, or marked as a token.
func (s *Space) Known(addr uint64, text []byte) []byte {
	view, ok := s.mem.Beneath().(tokens)
	if !ok || len(text) == 0 || !view.IsToken(addr) {
		return text
	}
	return MarkToken(text)
}

// Absent is how what could not be read is shown among values: of a recording in few words, since much of a value may
// not have been kept.
func Absent(err error) string {
	switch {
	case errors.Is(err, attach.ErrNotKept):
		return tokenOpen + notKept + tokenClose
	case errors.Is(err, attach.ErrNotRecorded):
		return tokenOpen + notRecorded + tokenClose
	}
	return fmt.Sprintf("/* %v */", err)
}

// MarkToken is how a token is shown. What would read as hexadecimal digits is shown by its digits, too, so that what is
// shown is one token's only.
func MarkToken(text []byte) []byte {
	marked := []byte(tokenOpen)
	if !prints(text) || isHex(text) {
		return append(hex.AppendEncode(marked, text), tokenClose...)
	}
	return append(append(marked, text...), tokenClose...)
}

func prints(text []byte) bool {
	return !slices.ContainsFunc(text, func(b byte) bool { return b < ' ' || b > '~' })
}

// isHex tells what hex.AppendEncode could have written.
func isHex(text []byte) bool {
	return len(text)%2 == 0 && !slices.ContainsFunc(text, func(b byte) bool {
		return (b < '0' || b > '9') && (b < 'a' || b > 'f')
	})
}

// TokenLength is how long the text is, in bytes, that a marked text stands for: false if it is cut, or nothing was
// kept.
func TokenLength(text string) (n int, ok bool) {
	for {
		before, rest, found := strings.Cut(text, tokenOpen)
		if n += len(before); !found {
			return n, true
		}
		token, after, whole := strings.Cut(rest, tokenClose)
		if !whole || token == notKept || token == notRecorded {
			return 0, false
		}
		if text = after; isHex([]byte(token)) {
			n += len(token) / 2
		} else {
			n += len(token)
		}
	}
}

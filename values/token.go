package values

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"ri/attach"
)

// A recording has tokens in the place of texts that were not kept: as long, equal for equal texts, and nothing else is
// known of them. They are shown between marks, so that nobody takes them for the text, and what doesn't print as
// hexadecimal digits. What was made of a marked text is marked.
const (
	tokenOpen  = "‹"
	tokenClose = "›"
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
		return tokenOpen + "not kept" + tokenClose
	case errors.Is(err, attach.ErrNotRecorded):
		return tokenOpen + "not recorded" + tokenClose
	}
	return fmt.Sprintf("/* %v */", err)
}

// MarkToken is how a token is shown.
func MarkToken(text []byte) []byte {
	marked := []byte(tokenOpen)
	for _, b := range text {
		if b < ' ' || b > '~' {
			return append(hex.AppendEncode(marked, text), tokenClose...)
		}
	}
	return append(append(marked, text...), tokenClose...)
}

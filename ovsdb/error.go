package ovsdb

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Error is an error as the protocol has it (RFC 7047, section 3.1, <error>): a tag that programs test, details for
// people, and the JSON that was wrong. Its texts are those of Open vSwitch, which clients know.
type Error struct {
	Tag     string
	Details string
	Syntax  string // the JSON that it is about
}

// Tags that callers test for.
const (
	SyntaxTag     = "syntax error"
	ConstraintTag = "constraint violation"
)

func (e *Error) Error() string {
	text := e.Tag
	if e.Syntax != "" {
		text = "syntax \"" + e.Syntax + "\": " + e.Tag
	}
	if e.Details != "" {
		text += ": " + e.Details
	}
	return text
}

// Is: every such error is ErrValue.
func (e *Error) Is(target error) bool { return target == ErrValue }

// JSON is the <error> object.
func (e *Error) JSON() map[string]any {
	out := map[string]any{"error": e.Tag}
	if e.Details != "" {
		out["details"] = e.Details
	}
	if e.Syntax != "" {
		out["syntax"] = e.Syntax
	}
	return out
}

// Errorf makes an error with a tag.
func Errorf(tag, format string, args ...any) *Error {
	return &Error{Tag: tag, Details: fmt.Sprintf(format, args...)}
}

// Syntaxf makes an error about some JSON; tag "" is a syntax error.
func Syntaxf(j any, tag, format string, args ...any) *Error {
	if tag == "" {
		tag = SyntaxTag
	}
	return &Error{Tag: tag, Details: fmt.Sprintf(format, args...), Syntax: Text(j)}
}

// Text is JSON on one line, with the members of objects in order.
func Text(j any) string {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(j); err != nil {
		return fmt.Sprint(j)
	}
	return string(bytes.TrimSuffix(out.Bytes(), []byte("\n")))
}

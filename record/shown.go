package record

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"ri/instruments/rows"
	"ri/record/redact"
	"ri/trace"
)

// Shown redacts what hits show where it leaves as rows, and not as a recording: by the same rules, with the same
// tokens.
type Shown struct {
	policy *redact.Policy
	tokens *redact.Tokens
}

// NewShown redacts by a policy, with the tokens of a key.
func NewShown(policy *redact.Policy, key [redact.KeySize]byte) *Shown {
	return &Shown{policy, redact.NewTokens(key)}
}

// Value gives what of a value may leave: a number, a bool, a text's token; of all else its type, as [rows.Missing].
func (s *Shown) Value(h *trace.Hit, v trace.Value) any {
	plain := h.Scalar(v)
	text, isText := plain.(string)
	switch action := s.action(v, isText); {
	case v.Err != nil:
		return rows.Missing(v.Err.Error())
	case plain == nil:
		return rows.Missing(fmt.Sprintf("redacted: a %s", typeName(v)))
	case action == redact.Keep:
		return plain
	case isText && action == redact.Token:
		return printable(s.tokens.Of([]byte(text)))
	}
	return rows.Missing("redacted")
}

func typeName(v trace.Value) string {
	if t := v.Value.Type; t != nil {
		return t.Name
	}
	return "value"
}

// action is what the rules say of a value: as of a field of the struct that has it, or by its own type and name.
func (s *Shown) action(v trace.Value, isText bool) redact.Action {
	if v.Err != nil {
		return redact.Drop
	}
	if !isText && (strings.HasPrefix(v.Name, "len(") || strings.HasPrefix(v.Name, "cap(")) {
		return s.policy.Field("", "", "", false, true) // headers are kept, also those of secrets
	}
	t, inside := v.Owner, v.Inside
	if t == nil {
		if t, inside = v.Value.Type, 0; t == nil { // of an expression that has no place, as len(path)
			if isText {
				return redact.Token
			}
			return s.policy.Field("", v.Name, "", false, true)
		}
	}
	variable := ""
	if v.Owner == nil && isVariable(v.Name) { // else it is an element of something, or what a pointer leads to
		variable = v.Name
	}
	for _, p := range s.policy.Of(t, variable).Pieces {
		if p.Offset != inside || p.Size == 0 {
			continue
		}
		if p.Form == redact.Plain && isText || p.Form == redact.Contents {
			return redact.Drop
		}
		return p.Action
	}
	if isText {
		return redact.Token
	}
	return redact.Drop
}

// isVariable tells whether an expression is a name, perhaps of a package's.
func isVariable(expr string) bool {
	return !strings.ContainsFunc(expr, func(r rune) bool {
		return r != '_' && r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// printable is a token as text: those of texts that aren't printable are bytes.
func printable(token []byte) string {
	for b := token; len(b) > 0; {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return "0x" + hex.EncodeToString(token)
		}
		b = b[n:]
	}
	return string(token)
}

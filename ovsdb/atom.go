package ovsdb

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Errors that callers test for.
var (
	ErrSchema  = errors.New("schema does not fit")
	ErrValue   = errors.New("no OVSDB value")
	ErrCorrupt = errors.New("corrupt")
	ErrLocked  = errors.New("locked by another process")
)

// Atom is a single value: int64, float64, bool, string or UUID.
type Atom any

// UUID names a row. As text it has the usual form, 8-4-4-4-12 hexadecimal digits.
type UUID [16]byte

// NewUUID makes a random UUID (version 4 of RFC 4122).
func NewUUID() UUID {
	var u UUID
	rand.Read(u[:]) // never fails since Go 1.24
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return u
}

func (u UUID) String() string {
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// ParseUUID reads the text form.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, fmt.Errorf("%q is no UUID: %w", s, ErrValue)
	}
	if n, err := hex.Decode(u[:], []byte(strings.ReplaceAll(s, "-", ""))); err != nil || n != 16 {
		return u, fmt.Errorf("%q is no UUID: %w", s, ErrValue)
	}
	return u, nil
}

// AtomType is an atom's type, named as in a schema.
type AtomType string

const (
	Integer AtomType = "integer" // 64 bits, signed
	Real    AtomType = "real"
	Boolean AtomType = "boolean"
	String  AtomType = "string" // UTF-8 without NUL
	UUIDs   AtomType = "uuid"
)

func (t AtomType) valid() bool {
	switch t {
	case Integer, Real, Boolean, String, UUIDs:
		return true
	}
	return false
}

// zero is the value of a column that a row doesn't mention.
func (t AtomType) zero() Atom {
	switch t {
	case Integer:
		return int64(0)
	case Real:
		return float64(0)
	case Boolean:
		return false
	case String:
		return ""
	}
	return UUID{}
}

func (t AtomType) check(a Atom) error {
	ok := false
	switch a := a.(type) {
	case int64:
		ok = t == Integer
	case float64:
		ok = t == Real && !math.IsNaN(a) && !math.IsInf(a, 0)
	case bool:
		ok = t == Boolean
	case string:
		if t == String && (!utf8.ValidString(a) || strings.IndexByte(a, 0) >= 0) {
			return fmt.Errorf("%q holds NUL or is not UTF-8: %w", a, ErrValue)
		}
		ok = t == String
	case UUID:
		ok = t == UUIDs
	}
	if !ok {
		return fmt.Errorf("%v (%T) is no %s: %w", a, a, t, ErrValue)
	}
	return nil
}

// CleanString makes text that OVSDB takes: what is no UTF-8, and NUL, becomes U+FFFD.
func CleanString(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}

func atomJSON(a Atom) any {
	if u, ok := a.(UUID); ok {
		return []any{"uuid", u.String()}
	}
	return a
}

// Decode reads one JSON value with exact numbers (json.Number). The error is ErrValue.
func Decode(data []byte, into any) error { return decode(data, into) }

func decode(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%v: %w", err, ErrValue)
	}
	if d.More() {
		return fmt.Errorf("more than one JSON value: %w", ErrValue)
	}
	return nil
}

// Names stands for the rows that a transaction inserts: what a "named-uuid" is. It is told of which kind the
// reference is.
type Names interface {
	Named(name string, of *BaseType) UUID
}

// FromJSON reads an atom and checks its constraints. names may be nil: there are no named UUIDs. Errors are of type
// *Error.
func (b *BaseType) FromJSON(j any, names Names) (Atom, error) {
	a, err := b.atom(j, names)
	if err != nil {
		return nil, err
	}
	return a, b.Allows(a)
}

func (b *BaseType) atom(j any, names Names) (Atom, error) {
	switch j := j.(type) {
	case json.Number:
		n, f, whole := Number(j)
		switch {
		case b.Type == Integer && whole:
			return n, nil
		case b.Type == Real && !math.IsInf(f, 0):
			return f + 0, nil // no -0
		}
	case bool:
		if b.Type == Boolean {
			return j, nil
		}
	case string:
		if b.Type == String {
			if strings.IndexByte(j, 0) >= 0 {
				return nil, Errorf(ConstraintTag, "a string holds NUL")
			}
			return j, nil
		}
	}
	if b.Type == UUIDs {
		return b.uuid(j, names)
	}
	return nil, Syntaxf(j, "", "expected %s", b.Type)
}

func (b *BaseType) uuid(j any, names Names) (Atom, error) {
	list, _ := j.([]any)
	var kind, text string
	ok := len(list) == 2
	if ok {
		kind, _ = list[0].(string)
		text, ok = list[1].(string)
	}
	switch {
	case ok && kind == "uuid":
		u, err := ParseUUID(text)
		if err != nil {
			return nil, Syntaxf(j, "", "\"%s\" is not a valid UUID", text)
		}
		return u, nil
	case ok && kind == "named-uuid" && names != nil:
		if !ID(text) {
			return nil, Syntaxf(j, "", "named-uuid string is not a valid <id>")
		}
		return names.Named(text, b), nil
	}
	return nil, Syntaxf(j, "", "expected [\"uuid\", <string>]")
}

// AtomText is an atom as Open vSwitch's messages have it: a text that could be taken for something else is quoted.
func AtomText(a Atom) string {
	switch a := a.(type) {
	case string:
		plain := a != "true" && a != "false" && a != ""
		for i := range len(a) {
			c := a[i]
			letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
			plain = plain && (letter || i > 0 && (c == '-' || c == '.' || '0' <= c && c <= '9'))
		}
		if _, err := ParseUUID(a); plain && err != nil {
			return a
		}
		return Text(a)
	case float64:
		return realText(a)
	}
	return fmt.Sprint(a)
}

// realText is C's %.15g.
func realText(f float64) string { return strconv.FormatFloat(f, 'g', 15, 64) }

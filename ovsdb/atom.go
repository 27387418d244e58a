package ovsdb

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
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
		ok = t == Real
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

// decode reads JSON with exact numbers.
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

func (t AtomType) fromJSON(j any) (Atom, error) {
	switch j := j.(type) {
	case json.Number:
		switch t {
		case Integer:
			if n, err := strconv.ParseInt(j.String(), 10, 64); err == nil {
				return n, nil
			}
		case Real:
			if f, err := j.Float64(); err == nil {
				return f, nil
			}
		}
	case bool:
		if t == Boolean {
			return j, nil
		}
	case string:
		if t == String {
			return j, t.check(j)
		}
	case []any:
		if t == UUIDs && len(j) == 2 && j[0] == "uuid" {
			if s, ok := j[1].(string); ok {
				return ParseUUID(s)
			}
		}
	}
	return nil, fmt.Errorf("%v is no %s: %w", j, t, ErrValue)
}

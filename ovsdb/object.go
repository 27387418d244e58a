package ovsdb

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Object reads the members of a JSON object. Each that isn't asked for is an error, as are those that are missing or of
// another type; the first error counts.
type Object struct {
	name    string
	JSON    any
	members map[string]any
	used    map[string]bool
	err     *Error
}

// Kinds of members, to be combined.
type Kind uint16

// What a member may be. An ID is a string that is a name: letters, digits and underscores.
const (
	IsString Kind = 1 << iota
	IsID
	IsInteger
	IsNumber
	IsBoolean
	IsArray
	IsObject
	IsOptional
	IsAny Kind = IsString | IsNumber | IsInteger | IsBoolean | IsArray | IsObject
)

// NewObject begins to read j; name is for errors.
func NewObject(j any, name string) *Object {
	o := &Object{name: name, JSON: j, used: map[string]bool{}}
	var ok bool
	if o.members, ok = j.(map[string]any); !ok {
		o.JSON = nil
		o.Fail("Object expected.")
	}
	return o
}

// Fail notes an error, unless there is one.
func (o *Object) Fail(format string, args ...any) {
	if o.err != nil {
		return
	}
	o.err = &Error{Tag: SyntaxTag, Details: fmt.Sprintf("Parsing %s failed: %s", o.name, fmt.Sprintf(format, args...))}
	if o.JSON != nil {
		o.err.Syntax = Text(o.JSON)
	}
}

// Member gives a member, nil if it isn't there or is wrong.
func (o *Object) Member(name string, kind Kind) any {
	if o.members == nil {
		return nil
	}
	v, ok := o.members[name]
	if !ok {
		if kind&IsOptional == 0 {
			o.Fail("Required '%s' member is missing.", name)
		}
		return nil
	}
	if !kind.of(v) {
		o.Fail("Type mismatch for member '%s'.", name)
		return nil
	}
	o.used[name] = true
	return v
}

// Has tells whether a member is there.
func (o *Object) Has(name string) bool { _, ok := o.members[name]; return ok }

func (k Kind) of(v any) bool {
	switch v := v.(type) {
	case string:
		return k&IsString != 0 || k&IsID != 0 && ID(v)
	case json.Number:
		_, _, whole := Number(v)
		return k&IsNumber != 0 || k&IsInteger != 0 && whole
	case bool:
		return k&IsBoolean != 0
	case []any:
		return k&IsArray != 0
	case map[string]any:
		return k&IsObject != 0
	}
	return false
}

// Err is the first error so far, of type *Error.
func (o *Object) Err() error {
	if o.err == nil {
		return nil
	}
	return o.err
}

// Finish gives the first error, or what is there and was not asked for.
func (o *Object) Finish() error {
	if o.err == nil {
		var extra []string
		for name := range o.members {
			if !o.used[name] {
				extra = append(extra, name)
			}
		}
		slices.Sort(extra)
		switch n := len(extra); {
		case n == 1:
			o.Fail("Member '%s' is present but not allowed here.", extra[0])
		case n > 1:
			s := ""
			if n > 2 {
				s = "s"
			}
			o.Fail("Member '%s' and %d other member%s are present but not allowed here.", extra[0], n-1, s)
		}
	}
	return o.Err()
}

// ID tells whether a text is an <id> of RFC 7047.
func ID(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// Number reads a number. It is whole if it has an integer's value that int64 has, however it is written: 1.0 and 1e3
// are integers (Open vSwitch, lib/json.c).
func Number(n json.Number) (i int64, f float64, whole bool) {
	text := n.String()
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i, float64(i), true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err == nil && strings.ContainsAny(text, ".eE") && f == float64(int64(f)) && f > -1<<63 && f < 1<<63 {
		return int64(f), f, true
	}
	return 0, f, false
}

// Name makes a valid name of a text that is like one: nats-server is nats_server. Names that begin with "_" are
// reserved, and come of no text.
func Name(text string) string {
	b := []byte(text)
	for i, c := range b {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			b[i] = '_'
		}
	}
	name := strings.TrimLeft(string(b), "_")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return "n" + name
	}
	return name
}

package symbols

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	"ri/symbols/dwarf"
)

// Errors that callers test for.
var (
	// ErrNotGo: the file is no Go executable.
	ErrNotGo = errors.New("not a Go program")
	// ErrNoDWARF: the file has no debug information (stripped, -ldflags=-w).
	// Functions, lines and build info still work.
	ErrNoDWARF = dwarf.ErrNone
	// ErrNotFound: no such variable, type, field or function; the error's text names near ones.
	ErrNotFound = errors.New("not found")
	// ErrAmbiguous: a short name stands for several; the error's text lists them.
	ErrAmbiguous = errors.New("ambiguous")
)

// said is an error whose text says all; what it is, callers learn by errors.Is.
type said struct {
	text string
	is   error
	more func() string // what only a reader needs and takes long to find, such as near names; nil: nothing
}

func (e *said) Error() string {
	if e.more != nil {
		return e.text + e.more()
	}
	return e.text
}
func (e *said) Unwrap() error { return e.is }

func say(is error, format string, args ...any) error {
	return &said{text: fmt.Sprintf(format, args...), is: is}
}

// Type is one Go type of the program. Types are unique within a File: two values have
// the same type when their *Type are equal.
type Type struct {
	// as Go prints it: "main.Object", "map[string]*main.Object", "main.Pair[int,string]"; with the full package path
	Name string
	Kind reflect.Kind // Invalid for what the program's DWARF doesn't describe
	Size int64        // bytes

	file        *File
	off         uint64 // its entry in .debug_info; 0 for a composed type
	runtimeType uint64 // offset of its descriptor from runtime.types, 0 if none
	elem        uint64 // offsets of entries, resolved when asked for
	key         uint64
	repr        uint64
	length      int64
	elemType    *Type // of a composed type, as the next two
	keyType     *Type
	reprType    *Type
	dictIndex   int64      // for a type parameter's stand-in in a generic function, else -1
	consts      []constant // of a type from a table: see package layouts
	shape       *Type      // of an instance that is described by its shape only: see ofShape

	once   sync.Once
	laid   atomic.Bool // whether somebody asked for its fields
	fields []Field
	lacks  error    // see Lacks
	paths  sync.Map // field name -> pathResult
}

// Field is one field of a struct, in source order.
type Field struct {
	Name     string
	Offset   int64 // bytes from the start of the struct
	Type     *Type
	Embedded bool
}

// Step is one step of a compiled field path: go to Offset. If Deref, load the pointer found there, and go on from what
// it points to.
type Step struct {
	Offset int64
	Deref  bool
}

// Path is a field access compiled to offsets: Steps lead through embedded structs
// and pointers to embedded structs, as Go promotes fields; Offset is the rest.
type Path struct {
	Steps  []Step // only those that load a pointer; empty for most fields
	Offset int64  // bytes, after the last step
	Field  Field  // the field reached
}

// Var is a package variable.
type Var struct {
	Name string // full: "github.com/x/y/pkg.Var"
	Addr uint64 // link-time address
	Type *Type
}

// Line is a place in the source.
type Line struct {
	// full name as Go prints it in a stack trace, of a generic function with its shape: "main.Map[go.shape.int]"
	Func    string
	File    string
	Line    int
	Wrapper bool // made by the compiler, not in the source; Go's stack traces leave it out
}

// IsUnnamed tells a type that is written with its parts, as *T and map[K]V are, from one that was given a name.
func IsUnnamed(name string) bool {
	name = strings.TrimPrefix(name, "noalg.") // the compiler's, of maps' slots
	switch {
	case name == "":
		return false
	case strings.HasPrefix(name, "map[") || strings.HasPrefix(name, "chan ") || strings.HasPrefix(name, "func("):
		return true
	case strings.HasPrefix(name, "struct {") || strings.HasPrefix(name, "interface {"):
		return true
	case strings.Contains(name, shapeMark): // the compiler's, for generic functions
		return true
	}
	return strings.IndexByte("*[<", name[0]) >= 0
}

// Boundless tells whether a type is an array of 64 KiB and more. The runtime, and others, take pointers for such arrays
// of any length, (*[1 << 16]scase)(p)[:n], and what lies behind the first elements is something else: only of a
// variable, which the linker made room for, is it believed.
func (t *Type) Boundless() bool { return t.Kind == reflect.Array && t.Size >= 64<<10 }

// Numbers tells whether a type is one number, or nothing but an array or a struct's single field of such: what text may
// be written with, a letter each. A bool counts.
func (t *Type) Numbers() bool {
	for range maxWraps {
		switch {
		case t == nil:
			return false
		case t.Kind >= reflect.Bool && t.Kind <= reflect.Complex128:
			return true
		case t.Kind == reflect.Array:
			t = t.Elem()
		case t.Kind == reflect.Struct:
			var only *Type
			for _, f := range t.Fields() {
				if f.Type == nil || f.Type.Size == 0 {
					continue
				}
				if only != nil {
					return false
				}
				only = f.Type
			}
			t = only
		default:
			return false
		}
	}
	return false
}

const maxWraps = 16

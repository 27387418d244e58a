package values

import (
	"errors"
	"iter"
	"time"

	"ri/attach"
	"ri/symbols"
)

// Errors that callers test for.
var (
	ErrNil      = errors.New("nil")           // a nil pointer, interface or map was followed
	ErrKind     = errors.New("wrong kind")    // the operation isn't one of the value's type
	ErrRange    = errors.New("out of range")  // an index
	ErrCorrupt  = errors.New("corrupt")       // a length, count or pointer that can't be
	ErrNoField  = errors.New("no such field") // the text names near ones
	ErrNotFound = errors.New("not found")     // a key that the map doesn't have
)

// Space is a program in memory: what its executable says and one view of its bytes.
type Space struct{ spaceInternal }

// New joins a file and a view. bias is the runtime address less the link-time address (0 unless PIE).
func New(file *symbols.File, mem *attach.Cache, bias uint64) *Space { panic("todo") }

// Value is a place in target memory with a type; nothing is read until asked.
// The zero Value is invalid.
type Value struct {
	Type *symbols.Type
	Addr uint64 // runtime address; 0 if the value lives in no memory (a register, a computed value)
	s    *Space
	data []byte // the bytes, where Addr is 0
}

func (s *Space) File() *symbols.File                            { panic("todo") }
func (s *Space) Var(name string) (Value, error)                 { panic("todo") } // package variable, full or short name
func (s *Space) At(addr uint64, t *symbols.Type) Value          { panic("todo") }
func (s *Space) Eval(expr string) (Value, error)                { panic("todo") } // Go selector expression: main.store.devices[3].next, *(*main.T)(0xc000), m["key"]; no calls
func (s *Space) Type(name string) (*symbols.Type, error)        { panic("todo") } // also composed: *main.T, []byte, map[string]main.T
func (s *Space) RuntimeType(desc uint64) (*symbols.Type, error) { panic("todo") } // from a runtime type descriptor's address

func (v Value) Space() *Space                                 { return v.s }
func (v Value) IsValid() bool                                 { return v.Type != nil }
func (v Value) Bool() (bool, error)                           { panic("todo") }
func (v Value) Int() (int64, error)                           { panic("todo") } // signed kinds
func (v Value) Uint() (uint64, error)                         { panic("todo") } // unsigned kinds and uintptr
func (v Value) Float() (float64, error)                       { panic("todo") }
func (v Value) Complex() (complex128, error)                  { panic("todo") }
func (v Value) Word() (uint64, error)                         { panic("todo") } // the pointer word of pointer, unsafe.Pointer, func, chan, map
func (v Value) IsNil() (bool, error)                          { panic("todo") } // pointer, func, chan, map, slice, interface, unsafe.Pointer
func (v Value) Len() (int, error)                             { panic("todo") } // string, array, slice, map, chan
func (v Value) Cap() (int, error)                             { panic("todo") } // array, slice, chan
func (v Value) Text(max int) (s string, full int, err error)  { panic("todo") } // a string's first max bytes and its full length
func (v Value) Bytes(max int) (b []byte, full int, err error) { panic("todo") } // of a []byte or [N]byte
func (v Value) Field(name string) (Value, error)              { panic("todo") } // promoted too; follows pointers and interfaces to structs as Go's selector does
func (v Value) Follow(p symbols.Path) (Value, error)          { panic("todo") } // a compiled field path from a struct's address
func (v Value) Index(i int) (Value, error)                    { panic("todo") } // array, slice, pointer to array; chan: i-th queued element
func (v Value) Elem() (Value, error)                          { panic("todo") } // pointer: pointee; interface: dynamic value; ErrNil if nil
func (v Value) Lookup(key any) (Value, error)                 { panic("todo") } // a map's element; key: Go bool, int64, uint64, float64, string or Value; scans; ErrNotFound
func (v Value) Entries() iter.Seq2[Entry, error]              { panic("todo") } // a map's entries, bounded by its count; stops at the first error
func (v Value) Func() (Function, error)                       { panic("todo") }
func (v Value) Chan() (Channel, error)                        { panic("todo") }
func (v Value) Time() (time.Time, error)                      { panic("todo") } // time.Time; location: UTC unless Local
func (v Value) Constant() (string, bool)                      { panic("todo") } // the name of the constant of the value's own named integer type
func (v Value) Dump(opt DumpOptions) string                   { panic("todo") } // Go syntax; broken parts say why in place

// Entry of a map.
type Entry struct{ Key, Value Value }

// Function is what a func value holds.
type Function struct {
	symbols.Line
	PC       uint64
	Captured []Named // variables of a closure; nil if none, or Go before 1.23 doesn't record them
}

// Named is a value with the name it has in the source.
type Named struct {
	Name  string
	Value Value
}

// Channel is the state of a channel.
type Channel struct {
	Len, Cap int
	Closed   bool
	Addr     uint64 // of the hchan
	Elem     *symbols.Type
}

// DumpOptions bounds Dump.
type DumpOptions struct {
	Depth   int // levels of pointers and structs; 0 means 3
	Elems   int // elements of a slice, array or map; 0 means 64
	Bytes   int // of a string; 0 means 256
	OneLine bool
}

// Goroutine is one goroutine as the runtime has it.
type Goroutine struct {
	ID         int64
	Addr       uint64
	Status     string        // "running", "runnable", "syscall", "waiting", ...; as runtime's traceback prints it
	WaitReason string        // "chan receive", "select", "sync.Mutex.Lock", ...; "" unless waiting
	Wait       time.Duration // lower bound: since the collector first saw it waiting; 0 where not recorded
	ParentID   int64         // 0 where not recorded (before Go 1.21)
	CreatedBy  symbols.Line  // the go statement
	Start      symbols.Line  // the goroutine's function
	ThreadID   int           // 0 unless it is on a thread
	System     bool          // the runtime's own: as runtime.isSystemGoroutine decides
	s          *Space
	internal   goroutineInternal
}

// Frame of a stack, innermost first.
type Frame struct {
	symbols.Line
	PC      uint64
	CFA     uint64 // canonical frame address: the caller's SP
	Inlined bool   // shares PC and CFA with the frame after it
	vars    frameInternal
}

func (s *Space) Goroutines() iter.Seq2[*Goroutine, error] { panic("todo") }

// Stack unwinds at most max frames (0: 256). The error says where and why it broke off; frames before it are good.
func (g *Goroutine) Stack(max int) ([]Frame, error)     { panic("todo") }
func (g *Goroutine) Labels() (map[string]string, error) { panic("todo") } // pprof labels
// Vars gives arguments and locals of a frame that are still there at its PC; lost ones are left out, lost counts them.
func (g *Goroutine) Vars(f *Frame) (vars []Named, lost int, err error) { panic("todo") }

// Found is where a value of the type asked for lives.
type Found struct {
	Value     Value  // of the type asked for (not a pointer to it)
	Where     string // "goroutine 12: server.(*Server).AcceptLoop s", "main.store"
	Goroutine int64  // 0 for package variables
}

// Find looks for values of t (or pointers to it, or interfaces holding it) in package variables,
// goroutines' frames, receivers and closures; each address once. Where nothing holds it directly, it looks
// through fields, up to depth levels (0: 3).
func (s *Space) Find(t *symbols.Type, depth int) ([]Found, error) { panic("todo") }

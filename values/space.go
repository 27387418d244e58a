package values

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"ri/arch"
	"ri/attach"
	"ri/symbols"
	"ri/values/layout"
)

// Errors that callers test for; each comes wrapped with what failed, where, and why.
var (
	ErrNil      = errors.New("nil")          // a nil pointer, interface or map was followed
	ErrKind     = errors.New("wrong kind")   // the operation isn't one of the value's type
	ErrRange    = errors.New("out of range") // an index
	ErrCorrupt  = errors.New("corrupt")      // a length, count or pointer that can't be
	ErrNoField  = symbols.ErrNotFound        // no such field; the text names near ones
	ErrNotFound = errors.New("not found")    // a key that the map doesn't have
	ErrExpr     = errors.New("bad expression")
)

// ErrNotOne is the ErrExpr of a find(T) of which there is none, or several: memory in motion may say so of what is one.
var ErrNotOne = fmt.Errorf("%w", ErrExpr)

// Space is a program in memory: what its executable says, and one view of its bytes. It is not safe for concurrent use,
// as its page cache isn't.
type Space struct {
	file    *symbols.File
	arch    *arch.Arch
	mem     *attach.Cache
	bias    uint64                 // runtime address less link-time address
	threads map[int]*attach.Thread // by the number that the program knows
	forking []int                  // threads that waited for a child, as the program knows them
	now     int64                  // the target's nanotime at the look, 0 if unknown
	viewed  time.Time              // when this look began: not before its moment

	// remembered is of the last Stacks of this look.
	remembered *StackMemo
	apart      apart

	local     []byte // bytes that live in no target memory, at localBase
	types     map[uint64]*symbols.Type
	maps      map[*symbols.Type]*layout.Map
	searches  map[findKey][]Found // through fields, with the ways that led there
	layouts   *layout.Layouts
	gs        *goroutineLayout
	directTag *bool
	// plugins are what Plugins gives, once pluginsKnown.
	plugins      []Module
	pluginsKnown bool
	openPlugin   func(m Module) *symbols.File // nil: their code isn't read
	polled       []uint64                     // the netpoller's descriptors, see PollDescs
	trace        *Trace                       // of the expression that is being evaluated; see Assignable
	values       int64                        // how many values were looked at: see Values
	room         []byte                       // of anyPreempted: in a stop it has been touched before
	witness      Witness                      // see SetWitness
}

// Witness hears what memory is looked at, and as what. What it isn't told of was read as bytes, or words, that have no
// type.
type Witness interface {
	// Typed: there is, or is thought to be, a value of the type.
	Typed(addr uint64, t *symbols.Type)
	// Objects: n values of the type lie side by side. A walk of the heap tells of them in order of address.
	Objects(addr uint64, t *symbols.Type, n uint64)
	// Words: some of them are pointers.
	Words(addr uint64, n int)
	// Touched: bytes were read of what Typed tells.
	Touched(addr uint64, n int)
	// Bits: bits of the runtime's own, that say which words are pointers, or which slots are taken.
	Bits(addr uint64, n int)
	// Return: the word is where a function on a stack returns to, and part of no value.
	Return(addr uint64)
}

// SetWitness has w hear of what is looked at from now on; nil: nobody does. What was found in memory for good is looked
// for again, so that w hears of it.
func (s *Space) SetWitness(w Witness) {
	if s.witness = w; w != nil {
		s.polled = nil
	}
}

// Addresses from localBase on are not the target's: they name bytes kept in the Space (registers, composed
// values). No program's addresses lie there: they have 57 bits at most, on any processor.
const (
	localBase = 0xbadc_0000_0000_0000
	localSize = 1 << 32
)

// MaxBytes bounds every single read and every length taken from target memory, in bytes.
const MaxBytes = 1 << 40

// New joins a file and a view. bias is the runtime address less the link-time address: 0 unless the file is a PIE.
func New(file *symbols.File, mem *attach.Cache, bias uint64) *Space {
	return &Space{file: file, arch: file.Arch(), mem: mem, bias: bias, types: map[uint64]*symbols.Type{},
		maps:     map[*symbols.Type]*layout.Map{},
		searches: map[findKey][]Found{}}
}

// File is what the executable says.
func (s *Space) File() *symbols.File { return s.file }

// Layouts are where the program's runtime keeps what is read of it.
func (s *Space) Layouts() *layout.Layouts {
	if s.layouts == nil {
		s.layouts = layout.Of(s.file)
	}
	return s.layouts
}

// Mem is the page cache under the space.
func (s *Space) Mem() *attach.Cache { return s.mem }

// Bias is the runtime address less the link-time address.
func (s *Space) Bias() uint64 { return s.bias }

// SetThreads gives the stopped threads, for the stacks of running goroutines.
func (s *Space) SetThreads(threads []attach.Thread) {
	if threads == nil {
		s.threads = nil
		return
	}
	s.threads = map[int]*attach.Thread{}
	for i := range threads {
		s.threads[threads[i].InnerID] = &threads[i]
	}
}

// SetForking gives the threads, as the program knows them, that waited for a child which shares the memory: see
// attach.Coverage.
func (s *Space) SetForking(ids []int) { s.forking = ids }

// SetNow gives the target's monotonic clock (CLOCK_MONOTONIC, as runtime.nanotime) at the moment of the
// look, in nanoseconds, for waiting times.
func (s *Space) SetNow(nanotime int64) { s.now = nanotime }

// Nanotime is what SetNow said, 0 if nothing.
func (s *Space) Nanotime() int64 { return s.now }

// Reset forgets what was read of the target's memory, for another look; types and layouts are kept.
func (s *Space) Reset() {
	s.local, s.remembered, s.viewed = nil, nil, time.Now()
	s.plugins, s.pluginsKnown = nil, false
	// Descriptors that the executable itself holds don't change, and what was compiled for their types goes on to be used.
	maps.DeleteFunc(s.types, func(desc uint64, _ *symbols.Type) bool {
		return !s.file.RuntimeOnly() ||
			!s.file.Holds(desc-s.bias)
	})
}

// Values counts the values that were made so far.
func (s *Space) Values() int64 { return s.values }

// Slice gives n bytes at addr, without a copy where it can be; they are valid until the next Reset and must not be
// written.
func (s *Space) Slice(addr uint64, n int) ([]byte, error) {
	if addr-localBase < localSize {
		off := addr - localBase
		if n < 0 || off > uint64(len(s.local)) || uint64(n) > uint64(len(s.local))-off {
			return nil, fmt.Errorf("address %#x lies outside the local bytes: %w", addr, ErrRange)
		}
		return s.local[off : off+uint64(n)], nil
	}
	if addr-s.apart.low < s.apart.size {
		return s.apartSlice(addr, n)
	}
	return s.mem.Slice(addr, n)
}

// Uint64 reads a word.
func (s *Space) Uint64(addr uint64) (uint64, error) {
	if addr-localBase < localSize {
		b, err := s.Slice(addr, 8)
		if err != nil {
			return 0, err
		}
		return binary.LittleEndian.Uint64(b), nil
	}
	if addr-s.apart.low < s.apart.size {
		return s.apartWord(addr)
	}
	return s.mem.Uint64(addr)
}

// Number reads an integer of 1 to 8 bytes.
func (s *Space) Number(at uint64, size int64) (uint64, error) {
	if size == 8 {
		return s.Uint64(at)
	}
	b, err := s.Slice(at, int(size))
	if err != nil {
		return 0, err
	}
	switch size {
	case 1:
		return uint64(b[0]), nil
	case 2:
		return uint64(binary.LittleEndian.Uint16(b)), nil
	case 4:
		return uint64(binary.LittleEndian.Uint32(b)), nil
	}
	return 0, fmt.Errorf("a number of %d bytes: %w", size, ErrCorrupt)
}

// Field reads a field of a structure of the runtime, as an unsigned number.
func (s *Space) Field(base uint64, f layout.Field) (uint64, error) {
	s.Saw(base, f.In)
	return s.Number(f.At(base), f.Size)
}

// Structure gives the bytes of a structure of the runtime.
func (s *Space) Structure(addr uint64, of *layout.Structure) ([]byte, error) {
	s.Saw(addr, of.Type)
	return s.Slice(addr, int(of.Size))
}

// Saw tells who listens (SetWitness) that memory is looked at as a type, by somebody who reads it without a Value.
func (s *Space) Saw(addr uint64, t *symbols.Type) {
	if s.witness != nil && t != nil && !IsLocal(addr) {
		s.witness.Typed(addr, t)
	}
}

// returns tells who listens of a return address, once it turned out to be one; 0 is none.
func (s *Space) returns(slot uint64) {
	if s.witness != nil && slot != 0 {
		s.witness.Return(slot)
	}
}

// Witness is who listens; nil: nobody does.
func (s *Space) Witness() Witness { return s.witness }

// IsLocal tells whether addr is no target memory but bytes kept by a Space.
func IsLocal(addr uint64) bool { return addr-localBase < localSize }

// Keep stores bytes in the space and gives the address that stands for them.
func (s *Space) Keep(b []byte) uint64 {
	for len(s.local)%8 != 0 {
		s.local = append(s.local, 0)
	}
	addr := localBase + uint64(len(s.local))
	// Grown by append: earlier slices stay valid, they are never written again.
	s.local = append(s.local, b...)
	return addr
}

// Local gives bytes that aren't in the target the form of a value.
func (s *Space) Local(b []byte, t *symbols.Type) Value { return s.At(s.Keep(b), t) }

// Word makes a value of a type of at most a word: a pointer, a number.
func (s *Space) Word(word uint64, t *symbols.Type) Value {
	return s.Local(binary.LittleEndian.AppendUint64(nil, word), t)
}

// At gives the value of type t at a runtime address.
func (s *Space) At(addr uint64, t *symbols.Type) Value {
	s.values++
	if s.witness != nil {
		s.Saw(addr, t)
	}
	return Value{Type: t, Addr: addr, s: s}
}

// Var gives a package variable by its full or short name.
func (s *Space) Var(name string) (Value, error) {
	v, err := s.file.Var(name)
	if err != nil {
		return Value{}, err
	}
	return s.At(v.Addr+s.bias, v.Type), nil
}

// Type finds a type by name; see [symbols.File.Type]. Of a stripped program also those that descriptors in its memory
// describe.
func (s *Space) Type(name string) (*symbols.Type, error) {
	t, err := s.file.Type(name)
	if err == nil || !s.file.RuntimeOnly() {
		return t, err
	}
	if desc, ok := s.file.Descriptor(name); ok {
		return s.RuntimeType(desc + s.bias)
	}
	if elem, ok := strings.CutPrefix(name, "*"); ok {
		if t, elemErr := s.Type(elem); elemErr == nil {
			return s.file.PointerTo(t), nil
		}
	}
	if elem, ok := strings.CutPrefix(name, "[]"); ok {
		if t, elemErr := s.Type(elem); elemErr == nil {
			return s.file.SliceOf(t), nil
		}
	}
	return nil, err
}

// PC tells what the function table knows of a runtime pc.
// Of a plugin's, addresses are as if it were linked with the program.
func (s *Space) PC(pc uint64) (*symbols.PCInfo, bool) {
	if info, ok := s.file.PC(pc - s.bias); ok || s.openPlugin == nil {
		return info, ok
	}
	return s.pluginPC(pc)
}

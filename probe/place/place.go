package place

import (
	"ri/probe"
	"ri/symbols"
)

// Found is what a name stands for.
type Found struct {
	Functions []*Function // by address; those without a body of their own last, by name
	Refused   []Refused   // functions of that name of which nothing can be probed
}

// Refused is a function, or a place in one, that can't be probed.
type Refused struct {
	Func string // as Go prints it
	Into string // of an inlined call: the function that has it
	File string
	Line int
	PC   uint64 // link-time address; 0 where it has none
	Why  string // "it begins with an instruction that ...": what is wrong with it
}

// Function is a function, or a line in one, with where it can be probed.
type Function struct {
	Name  string // as Go prints it
	File  string // of its declaration
	Line  int
	Entry uint64 // link-time address; 0 if it has no body of its own, as all its calls were inlined
	// Sites are that of its body first, then those of inlined calls. At each of them other registers may hold the
	// arguments: see Vars.
	Sites   []probe.Site
	Returns []probe.Site // of its body
	// NoReturns says why returns can't be probed, or not all: where it isn't "" there are no Returns.
	NoReturns string
	Refused   []Refused // inlined calls, or the body, without a site

	file    *symbols.File
	inlined map[uint64]inlinedAt // of sites of inlined calls, by PC
}

// Kind is what a variable is to its function.
type Kind uint8

const (
	Argument Kind = iota // the receiver is the first
	Result
	Captured // by a closure
	Local    // at a line
)

// Var is a variable at a site.
type Var struct {
	Name string
	Type *symbols.Type // never nil
	Kind Kind
	// Pieces are in order of At, and cover the value where Why is "".
	Pieces []Piece
	// Why it is not there, or not all of it, in words: "optimised away", "in a vector register, which a probe can't
	// read". Then Pieces, if there are any, have what is there.
	Why string
	// Pointer: the variable itself lies elsewhere, and Pieces are its address (Go moved it to the heap).
	Pointer bool
}

// PieceKind is where a piece lies.
type PieceKind uint8

const (
	InRegister PieceKind = iota // its low bytes
	OnStack                     // at CFA+Off
	Behind                      // at Off from the address in Register
	Fixed                       // Data
	Gone                        // nowhere
)

// Piece is a part of a value.
type Piece struct {
	Kind     PieceKind
	Register int // by DWARF number
	Off      int64
	Data     []byte
	At, Size int64 // in the value, in bytes
}

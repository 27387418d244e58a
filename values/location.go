package values

import (
	"encoding/binary"
	"fmt"
	"reflect"

	"ri/attach"
	"ri/symbols"
)

// DWARF expression operators (DWARF 5, section 7.7.1) that compilers use for variables.
const (
	opAddr          = 0x03
	opDeref         = 0x06
	opConst1u       = 0x08 // to opConst8s = 0x0f: unsigned and signed of 1, 2, 4 and 8 bytes
	opConstu        = 0x10
	opConsts        = 0x11
	opAnd           = 0x1a
	opMinus         = 0x1c
	opPlus          = 0x22
	opPlusUconst    = 0x23
	opLit0          = 0x30 // to 0x4f
	opReg0          = 0x50 // to 0x6f
	opBreg0         = 0x70 // to 0x8f
	opRegx          = 0x90
	opFbreg         = 0x91
	opBregx         = 0x92
	opPiece         = 0x93
	opCallFrameCFA  = 0x9c
	opImplicitValue = 0x9e
	opStackValue    = 0x9f
)

// piece is where one part of a variable is.
type piece struct {
	kind pieceKind
	word uint64 // address, register number, or the value itself
	data []byte // of an implicit value
	size int64  // bytes; the whole variable if it isn't in pieces
}

type pieceKind uint8

const (
	pieceGone pieceKind = iota
	pieceMemory
	pieceRegister
	pieceValue
)

// maxOperations bounds a location expression; those of compilers have a dozen at most.
const maxOperations = 1000

// locate evaluates a location expression of a variable of size bytes. cfa is the frame's CFA, which is Go's frame base
// too; regs is nil where they are not known.
func (s *Space) locate(program []byte, size int64, cfa uint64, regs *attach.Registers) ([]piece, error) {
	e := &evaluation{s: s, program: program, rest: program, room: size, cfa: cfa, regs: regs}
	for n := 0; len(e.rest) > 0; n++ {
		if n > maxOperations {
			return nil, e.bad("too long")
		}
		err := e.step()
		if e.short {
			return nil, e.bad("it ends too early")
		}
		if err != nil {
			return nil, err
		}
	}
	if e.pieces == nil {
		e.here.size = size
		e.pieces = []piece{e.here}
	}
	return e.pieces, nil
}

// evaluation is a location expression that is being evaluated.
type evaluation struct {
	s             *Space
	program, rest []byte
	short         bool // it ended in the middle of an operation
	cfa           uint64
	regs          *attach.Registers

	stack  []uint64
	here   piece // what a piece or the end refers to
	pieces []piece
	room   int64 // bytes of the variable that no piece was said of
}

func (e *evaluation) bad(why string) error {
	return fmt.Errorf("location expression %x: %s: %w", e.program, why, ErrCorrupt)
}

func (e *evaluation) push(v uint64) {
	e.stack = append(e.stack, v)
	e.here = piece{kind: pieceMemory, word: v}
}

// pop takes n words off the stack.
func (e *evaluation) pop(n int) ([]uint64, error) {
	at := len(e.stack) - n
	if at < 0 {
		return nil, e.bad("empty stack")
	}
	words := e.stack[at:]
	e.stack = e.stack[:at]
	return words, nil
}

// take gives the next bytes of the expression.
func (e *evaluation) take(n uint64) []byte {
	if n > uint64(len(e.rest)) {
		e.short, e.rest = true, nil
		return make([]byte, 8)
	}
	b := e.rest[:n]
	e.rest = e.rest[n:]
	return b
}

func (e *evaluation) uleb() uint64 {
	v, n := binary.Uvarint(e.rest)
	if n <= 0 {
		e.short = true
		return 0
	}
	e.take(uint64(n))
	return v
}

func (e *evaluation) sleb() (v int64) {
	for shift := uint(0); shift < 70; shift += 7 {
		c := e.take(1)[0]
		if shift < 64 {
			v |= int64(c&0x7f) << shift
		}
		if c&0x80 == 0 {
			if c&0x40 != 0 && shift+7 < 64 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	e.short = true
	return 0
}

// step does one operation.
func (e *evaluation) step() error {
	op := e.take(1)[0]
	switch {
	case op >= opConst1u && op < opConstu:
		e.push(e.constant(op))
	case op >= opLit0 && op < opReg0:
		e.push(uint64(op - opLit0))
	case op >= opReg0 && op < opBreg0:
		e.here = piece{kind: pieceRegister, word: uint64(op - opReg0)}
	case op >= opBreg0 && op < opRegx:
		return e.register(uint64(op - opBreg0))
	case op == opAnd, op == opMinus, op == opPlus, op == opPlusUconst, op == opDeref:
		return e.compute(op)
	case op == opAddr:
		addr, proved := e.s.file.Placed(binary.LittleEndian.Uint64(e.take(8)))
		if !proved {
			return errGone
		}
		e.push(addr + e.s.bias)
	case op == opConstu:
		e.push(e.uleb())
	case op == opConsts:
		e.push(uint64(e.sleb()))
	case op == opFbreg:
		e.push(e.cfa + uint64(e.sleb()))
	case op == opCallFrameCFA:
		e.push(e.cfa)
	case op == opBregx:
		return e.register(e.uleb())
	default:
		return e.describe(op)
	}
	return nil
}

// describe does the operations that say where, and of which kind, the variable or a part of it is.
func (e *evaluation) describe(op byte) error {
	switch op {
	case opRegx:
		e.here = piece{kind: pieceRegister, word: e.uleb()}
	case opImplicitValue:
		e.here = piece{kind: pieceValue, data: e.take(e.uleb())}
	case opStackValue:
		if e.here.kind != pieceMemory {
			return e.bad("no value on the stack")
		}
		e.here.kind = pieceValue
	case opPiece:
		e.here.size = int64(e.uleb())
		if e.here.size <= 0 || e.here.size > e.room {
			return e.bad("size of a piece")
		}
		e.room -= e.here.size
		e.pieces = append(e.pieces, e.here)
		e.here, e.stack = piece{}, nil
	default:
		return e.bad(fmt.Sprintf("operator %#x is not known", op))
	}
	return nil
}

// compute does the operations on what is on the stack.
func (e *evaluation) compute(op byte) error {
	n := 2
	if op == opPlusUconst || op == opDeref {
		n = 1
	}
	words, err := e.pop(n)
	if err != nil {
		return err
	}
	v := words[0]
	switch op {
	case opAnd:
		v &= words[1]
	case opMinus:
		v -= words[1]
	case opPlus:
		v += words[1]
	case opPlusUconst:
		v += e.uleb()
	case opDeref:
		if e.s.mem == nil { // see Locate
			return errGone
		}
		if v, err = e.s.Uint64(v); err != nil {
			return err
		}
	}
	e.push(v)
	return nil
}

// constant reads a constant of 1, 2, 4 or 8 bytes.
func (e *evaluation) constant(op byte) (v uint64) {
	width := uint64(1) << ((op - opConst1u) / 2)
	for i, c := range e.take(width)[:width] {
		v |= uint64(c) << (8 * i)
	}
	if shift := 64 - 8*width; op&1 != 0 { // signed
		v = uint64(int64(v<<shift) >> shift)
	}
	return v
}

// register pushes a register with an offset, where it is known.
func (e *evaluation) register(n uint64) error {
	off := e.sleb()
	word, ok := known(e.regs, n)
	if !ok {
		return errGone
	}
	e.push(word + uint64(off))
	return nil
}

// known gives a register by its DWARF number, where registers are known.
func known(regs *attach.Registers, n uint64) (uint64, bool) {
	if regs == nil {
		return 0, false
	}
	return regs.Get(n)
}

// contiguous tells whether pieces in memory lie one after another and make up size bytes.
func contiguous(pieces []piece, size int64) (addr uint64, ok bool) {
	next, total := pieces[0].word, int64(0)
	for _, p := range pieces {
		if p.kind != pieceMemory || p.word != next {
			return 0, false
		}
		next, total = next+uint64(p.size), total+p.size
	}
	return pieces[0].word, total == size
}

// assemble puts the bytes of a value together from its pieces.
func (s *Space) assemble(pieces []piece, t *symbols.Type, regs *attach.Registers) ([]byte, error) {
	size := t.Size
	if size > maxAssembled {
		return nil, fmt.Errorf("a value of %d bytes in pieces: %w", size, ErrCorrupt)
	}
	data := make([]byte, 0, size)
	for i, p := range pieces {
		b := p.data
		var err error
		switch p.kind {
		case pieceMemory:
			b, err = s.Slice(p.word, int(p.size))
		case pieceRegister:
			word, ok := known(regs, p.word)
			if !ok {
				return nil, errGone // a caller's registers are not saved
			}
			b = binary.LittleEndian.AppendUint64(nil, word)
		case pieceValue:
			if b == nil {
				b = binary.LittleEndian.AppendUint64(nil, p.word)
			}
		default:
			if t.Kind != reflect.Slice || i != 2 || len(data) != 16 || p.size != 8 {
				return nil, errGone
			}
			b = data[8:16] // a slice without its capacity is still one that can be read
		}
		if err != nil {
			return nil, err
		}
		if int64(len(b)) < p.size {
			return nil, errGone
		}
		data = append(data, b[:p.size]...)
	}
	if int64(len(data)) != size {
		return nil, errGone
	}
	return data, nil
}

// maxAssembled bounds a value that isn't in one place of memory, in bytes.
const maxAssembled = 1 << 20

// InRegister tells whether a location expression says that the whole variable is in a register, and in which, by
// DWARF's number.
func (s *Space) InRegister(program []byte) (n uint64, ok bool) {
	pieces, err := s.locate(program, 8, 0, nil)
	if err != nil || len(pieces) != 1 || pieces[0].kind != pieceRegister {
		return 0, false
	}
	return pieces[0].word, true
}

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

// locate evaluates a location expression of a variable of size bytes. base is the frame's CFA, which is Go's frame base too;
// regs is nil where they are not known.
func (s *Space) locate(program []byte, size int64, cfa uint64, regs *attach.Registers) ([]piece, error) {
	var stack []uint64
	var pieces []piece
	here := piece{kind: pieceGone} // what a piece or the end refers to
	bad := func(why string) ([]piece, error) {
		return nil, fmt.Errorf("location expression %x: %s: %w", program, why, ErrCorrupt)
	}
	push := func(v uint64) {
		stack = append(stack, v)
		here = piece{kind: pieceMemory, word: v}
	}
	p := program
	var short bool
	take := func(n uint64) []byte {
		if n > uint64(len(p)) {
			short = true
			return make([]byte, 8)
		}
		b := p[:n]
		p = p[n:]
		return b
	}
	uleb := func() uint64 {
		v, n := binary.Uvarint(p)
		if n <= 0 {
			short = true
			return 0
		}
		p = p[n:]
		return v
	}
	sleb := func() int64 {
		var v int64
		for shift := uint(0); shift < 70; shift += 7 {
			c := take(1)[0]
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
		short = true
		return 0
	}
	register := func(n uint64, off int64) error {
		word, ok := known(regs, n)
		if !ok {
			return errGone
		}
		push(word + uint64(off))
		return nil
	}
	var err error
	for n := 0; len(p) > 0; n++ {
		if n > maxOperations {
			return bad("too long")
		}
		op := take(1)[0]
		switch {
		case op == opAddr:
			addr, proved := s.file.Placed(binary.LittleEndian.Uint64(take(8)))
			if !proved {
				return nil, errGone
			}
			push(addr + s.bias)
		case op == opDeref:
			if len(stack) == 0 {
				return bad("empty stack")
			}
			top := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if top, err = s.Uint64(top); err == nil {
				push(top)
			}
		case op >= opConst1u && op < opConstu:
			width := uint64(1) << ((op - opConst1u) / 2)
			var v uint64
			for i, c := range take(width) {
				v |= uint64(c) << (8 * i)
			}
			if shift := 64 - 8*width; op&1 != 0 { // signed
				v = uint64(int64(v<<shift) >> shift)
			}
			push(v)
		case op == opConstu:
			push(uleb())
		case op == opConsts:
			push(uint64(sleb()))
		case op == opAnd, op == opMinus, op == opPlus:
			if len(stack) < 2 {
				return bad("empty stack")
			}
			a, b := stack[len(stack)-2], stack[len(stack)-1]
			stack = stack[:len(stack)-2]
			push(map[byte]uint64{opAnd: a & b, opMinus: a - b, opPlus: a + b}[op])
		case op == opPlusUconst:
			if len(stack) == 0 {
				return bad("empty stack")
			}
			top := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			push(top + uleb())
		case op >= opLit0 && op < opReg0:
			push(uint64(op - opLit0))
		case op >= opReg0 && op < opBreg0:
			here = piece{kind: pieceRegister, word: uint64(op - opReg0)}
		case op == opRegx:
			here = piece{kind: pieceRegister, word: uleb()}
		case op >= opBreg0 && op < opRegx:
			err = register(uint64(op-opBreg0), sleb())
		case op == opBregx:
			reg := uleb()
			err = register(reg, sleb())
		case op == opFbreg:
			push(cfa + uint64(sleb()))
		case op == opCallFrameCFA:
			push(cfa)
		case op == opImplicitValue:
			here = piece{kind: pieceValue, data: take(uleb())}
		case op == opStackValue:
			if here.kind != pieceMemory {
				return bad("no value on the stack")
			}
			here.kind = pieceValue
		case op == opPiece:
			here.size = int64(uleb())
			if here.size <= 0 || here.size > size {
				return bad("size of a piece")
			}
			size -= here.size
			pieces = append(pieces, here)
			here, stack = piece{kind: pieceGone}, nil
		default:
			return bad(fmt.Sprintf("operator %#x is not known", op))
		}
		if short {
			return bad("it ends too early")
		}
		if err != nil {
			return nil, err
		}
	}
	if pieces == nil {
		here.size = size
		pieces = []piece{here}
	}
	return pieces, nil
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

// InRegister tells whether a location expression says that the whole variable is in a register, and in which, by DWARF's number.
func (s *Space) InRegister(program []byte) (n uint64, ok bool) {
	pieces, err := s.locate(program, 8, 0, nil)
	if err != nil || len(pieces) != 1 || pieces[0].kind != pieceRegister {
		return 0, false
	}
	return pieces[0].word, true
}

package change

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"ri/values"
)

func (p *Plan) encodePointer(c *Change, v values.Value, to Operand) (err error) {
	if c.Before, err = copyBytes(v, 8); err != nil {
		return err
	}
	word := uint64(0)
	c.AfterText = "nil"
	if !to.isNil() {
		if to.Native != nil || !sameType(v.Type, to.Value.Type) {
			return fmt.Errorf("%s is no existing value of type %s, nor nil: %w", describe(to), v.Type.Name, ErrRefused)
		}
		if word, err = to.Value.Word(); err != nil {
			return err
		}
		if _, ok := p.space.InStack(word); ok {
			return fmt.Errorf("%s lies on a goroutine's stack, and nothing else may point there: %w", to.Text,
				ErrRefused)
		}
		c.holds(to)
		c.AfterText = text(to.Value)
	}
	c.After = binary.LittleEndian.AppendUint64(nil, word)
	c.Pointers = true
	return nil
}

func describe(o Operand) string {
	if o.Native == nil && o.Value.IsValid() {
		return fmt.Sprintf("%s (a %s)", o.Text, o.Value.Type.Name)
	}
	return o.Text
}

// encodeInterface sets an interface to nil, or to another pointer of the type that it holds.
func (p *Plan) encodeInterface(c *Change, v values.Value, to Operand) (err error) {
	if c.Before, err = copyBytes(v, 16); err != nil {
		return err
	}
	c.Pointers, c.Whole = true, true
	if to.isNil() {
		c.After, c.AfterText = make([]byte, 16), "nil"
		return nil
	}
	now, err := v.Elem()
	if errors.Is(err, values.ErrNil) {
		return fmt.Errorf("is nil, and giving an interface a type that it doesn't have needs a table that only the "+
			"program makes: %w", ErrRefused)
	}
	if err != nil {
		return err
	}
	next := to.Value
	if to.Native != nil {
		return fmt.Errorf("%s would need a box of its own; an interface can be set to an existing value of the type "+
			"that it holds (%s), or to nil: %w", to.Text, now.Type.Name, ErrRefused)
	}
	if next.Type.Kind == reflect.Interface {
		if next, err = next.Elem(); err != nil {
			return err
		}
	}
	if !sameType(now.Type, next.Type) {
		return fmt.Errorf("it holds a %s, and %s is a %s: a new type in an interface needs a table that only the "+
			"program makes: %w", now.Type.Name, to.Text, next.Type.Name, ErrRefused)
	}
	c.After = append([]byte(nil), c.Before...)
	switch {
	case now.Addr == v.Addr+8: // the data word is the value itself
		word, err := p.space.Uint64(next.Addr)
		if err != nil {
			return err
		}
		if _, ok := p.space.InStack(word); ok {
			return fmt.Errorf("%s lies on a goroutine's stack, and nothing else may point there: %w", to.Text,
				ErrRefused)
		}
		binary.LittleEndian.PutUint64(c.After[8:], word)
	case to.Value.Type.Kind == reflect.Interface && !values.IsLocal(next.Addr): // another box of the same type
		binary.LittleEndian.PutUint64(c.After[8:], next.Addr)
	default:
		return fmt.Errorf("%s would need a box of its own; another interface's value can be taken, or nil: %w", to.Text,
			ErrRefused)
	}
	c.holds(to)
	c.AfterText = text(next)
	return nil
}

// encodeSlice reslices within the capacity, sets to nil, or gives a []byte other contents of the same length.
func (p *Plan) encodeSlice(c *Change, v values.Value, to Operand) (err error) {
	data, length, capacity, err := v.Capacity()
	if err != nil {
		return err
	}
	elem := v.Type.Elem()
	if s, ok := to.Native.(string); ok && elem != nil && elem.Size == 1 {
		if int64(len(s)) != length {
			return fmt.Errorf("has %d bytes and the new contents %d: only as many can take their place; change its "+
				"length by reslicing within its capacity of %d (%s[:%d]), in a transaction before: %w",
				length, len(s), capacity, c.Path, len(s), ErrRefused)
		}
		header, err := copyBytes(v, 16) // the contents are those of this slice as long as its header is the same
		if err != nil {
			return err
		}
		c.Words = append(c.Words, values.Word{Addr: v.Addr, Bytes: header})
		return p.encodeContents(c, data, length, to)
	}
	if c.Before, err = copyBytes(v, 24); err != nil {
		return err
	}
	c.Whole = true
	if to.isNil() {
		c.After, c.AfterText, c.Pointers = make([]byte, 24), "nil", true
		return nil
	}
	if to.Native != nil || to.Value.Type.Kind != reflect.Slice || !sameType(to.Value.Type, v.Type) {
		return fmt.Errorf("%s is no %s; a slice can be resliced within its capacity (%s[:n]) or set to nil, its "+
			"elements changed one by one: %w", describe(to), v.Type.Name, c.Path, ErrRefused)
	}
	newData, newLength, _, err := to.Value.Capacity()
	if err != nil {
		return err
	}
	size := uint64(1)
	if elem != nil && elem.Size > 0 {
		size = uint64(elem.Size)
	}
	offset := (newData - data) / size
	if newData < data || offset > uint64(capacity) || offset+uint64(newLength) > uint64(capacity) ||
		(newData-data)%size != 0 {
		return fmt.Errorf("%s is no part of the array that it has, with room for %d elements: appending beyond that "+
			"needs memory that only the program's allocator gives: %w", to.Text, capacity, ErrRefused)
	}
	c.After = binary.LittleEndian.AppendUint64(nil, newData)
	c.After = binary.LittleEndian.AppendUint64(c.After, uint64(newLength))
	c.After = binary.LittleEndian.AppendUint64(c.After, uint64(capacity)-offset)
	if uint64(capacity) == offset { // Go points nowhere behind the array
		binary.LittleEndian.PutUint64(c.After, data)
	}
	c.Pointers = newData != data
	c.AfterText = text(p.space.Local(c.After, v.Type))
	return nil
}

// encodeContents changes bytes in place.
func (p *Plan) encodeContents(c *Change, data uint64, length int64, to Operand) (err error) {
	s, ok := to.Native.(string)
	if !ok {
		return fmt.Errorf("%s is no string of %d bytes: %w", describe(to), length, ErrRefused)
	}
	if int64(len(s)) != length || length > maxString {
		return fmt.Errorf("has %d bytes and the new contents %d: as many are needed: %w", length, len(s), ErrRefused)
	}
	b, err := p.space.Slice(data, int(length))
	if err != nil {
		return err
	}
	c.Addr, c.Before, c.After = data, append([]byte(nil), b...), []byte(s)
	c.BeforeText, c.AfterText = shortQuote(string(b)), shortQuote(s)
	return nil
}

func shortQuote(s string) string {
	if len(s) > maxText {
		return strconv.Quote(s[:maxText]) + fmt.Sprintf("... (%d bytes)", len(s))
	}
	return strconv.Quote(s)
}

// encodeString gives a string other bytes. A string's bytes never change, so the new ones have to be somewhere. They
// are found in the old string, in the program's own read-only data, or in another string of the program; else they need
// memory of their own.
func (p *Plan) encodeString(c *Change, v values.Value, to Operand) (err error) {
	if c.Before, err = copyBytes(v, 16); err != nil {
		return err
	}
	c.Text = p.perishableText(c.Before)
	data, _, err := v.TextData()
	if err != nil {
		return err
	}
	c.Pointers, c.Whole = true, true
	header := func(addr uint64, n int) {
		c.After = binary.LittleEndian.AppendUint64(nil, addr)
		c.After = binary.LittleEndian.AppendUint64(c.After, uint64(n))
	}
	if to.Native == nil {
		if to.Value.Type.Kind != reflect.String {
			return fmt.Errorf("%s is no string: %w", describe(to), ErrRefused)
		}
		if c.After, err = copyBytes(to.Value, 16); err != nil {
			return err
		}
		c.holds(to)
		c.AfterText = text(to.Value)
		return nil
	}
	s, ok := to.Native.(string)
	if !ok {
		return fmt.Errorf("%s is no string; in quotes it is one ('\"%s\"'): %w", to.Text, to.Text, ErrRefused)
	}
	if len(s) > maxString {
		return fmt.Errorf("a string of %d bytes: %d at most: %w", len(s), maxString, ErrRefused)
	}
	c.AfterText = shortQuote(s)
	if v.Type.Name != "string" {
		c.AfterText = v.Type.ShortName() + "(" + c.AfterText + ")"
	}
	old, full, err := v.Text(maxString)
	if err != nil {
		return err
	}
	switch at := strings.Index(old, s); {
	case s == "":
		header(data, 0) // only the length changes
	case full == len(old) && at >= 0:
		header(data+uint64(at), len(s))
	default:
		addr, ok := p.space.File().ConstantText(s)
		if ok {
			header(addr+p.space.Bias(), len(s))
			break
		}
		c.Memory = s
		header(0, len(s))
	}
	return nil
}

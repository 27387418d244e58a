package change

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"time"

	"ri/symbols"
	"ri/values"
)

// Operand is a new value, or one to compare with: a Go bool, int64, uint64, float64, string or values.Nil; or a value of the program.
type Operand struct {
	Native any
	Value  values.Value
	Trace  *values.Trace // of Value
	Text   string        // for messages
}

// Native makes an operand of a Go value.
func Native(v any) Operand {
	o := Operand{Native: v, Text: fmt.Sprint(v)}
	switch v := v.(type) {
	case string:
		o.Text = strconv.Quote(v)
	case values.Nil:
		o.Text = "nil"
	}
	return o
}

// Parse reads what a person typed as a new value for a place: a Go literal, the name of a constant of the place's type, a duration such as 5s, an
// expression for a value of the program; or, for a string, the bare text.
func (p *Plan) Parse(at Place, typed string) (Operand, error) {
	v, err := p.readable(at)
	if err != nil {
		return Operand{}, err
	}
	trimmed := strings.TrimSpace(typed)
	integer := v.Type.Kind >= reflect.Int && v.Type.Kind <= reflect.Uintptr
	switch native, ok := literal(v.Type, trimmed); {
	case ok:
		return Operand{Native: native, Text: trimmed}, nil
	case integer:
		if n, ok := v.Type.ConstantValue(trimmed); ok {
			if v.Type.Kind >= reflect.Uint {
				return Operand{Native: uint64(n), Text: trimmed}, nil
			}
			return Operand{Native: n, Text: trimmed}, nil
		}
	}
	native, value, trace, err := p.space.Operand(trimmed)
	if err == nil && native == nil && trace.Literal && pointerKind(value.Type.Kind) {
		return Operand{}, fmt.Errorf("%s: whether a value of type %s still lives at an address that was typed can't be told; name it by its path: %w", trimmed, value.Type.Name, ErrRefused)
	}
	if err == nil {
		return Operand{Native: native, Value: value, Trace: trace, Text: trimmed}, nil
	}
	// A shell takes quotes away.
	if v.Type.Kind == reflect.String && (!strings.ContainsAny(trimmed, "\"`") && trimmed == typed) {
		return Native(typed), nil
	}
	if integer {
		if names := v.Type.Constants(); len(names) > 0 {
			return Operand{}, fmt.Errorf("%s is no number and no constant of type %s, which has %s: %w", trimmed, v.Type.ShortName(), strings.Join(shortened(names), ", "), err)
		}
	}
	return Operand{}, fmt.Errorf("%s: %w", trimmed, err)
}

// literal reads what Go has no literals for: a duration, a moment, a complex number in one piece, an infinity.
func literal(t *symbols.Type, typed string) (native any, ok bool) {
	switch {
	case t.Name == "time.Duration":
		d, err := time.ParseDuration(typed)
		return int64(d), err == nil
	case t.Name == "time.Time":
		m, err := time.Parse(time.RFC3339Nano, strings.Trim(typed, `"`))
		return m, err == nil
	case t.Kind == reflect.Complex64 || t.Kind == reflect.Complex128:
		c, err := strconv.ParseComplex(strings.ReplaceAll(typed, " ", ""), 128)
		return c, err == nil
	case t.Kind == reflect.Float32 || t.Kind == reflect.Float64:
		switch strings.ToLower(strings.TrimLeft(typed, "+-")) {
		case "inf", "nan":
			f, err := strconv.ParseFloat(typed, 64)
			return f, err == nil
		}
	}
	return nil, false
}

func shortened(names []string) []string {
	if len(names) > 12 {
		return append(names[:12:12], "...")
	}
	return names
}

// encode works out a change's bytes.
func (p *Plan) encode(c *Change, v values.Value, to Operand) (err error) {
	kind := v.Type.Kind
	switch {
	case kind == reflect.Bool || kind >= reflect.Int && kind <= reflect.Float64:
		if c.Before, err = copyBytes(v, int(v.Type.Size)); err != nil {
			return err
		}
		if c.After, err = scalarBytes(v.Type, to); err != nil {
			return err
		}
		c.AfterText = text(p.space.Local(c.After, v.Type))
		return nil
	case kind == reflect.Complex64 || kind == reflect.Complex128:
		return p.encodeComplex(c, v, to)
	case v.Type.Name == "time.Time" && v.Type.Size == 24:
		return p.encodeTime(c, v, to)
	case kind == reflect.String:
		return p.encodeString(c, v, to)
	case kind == reflect.Pointer || kind == reflect.Map || kind == reflect.Chan || kind == reflect.Func:
		return p.encodePointer(c, v, to)
	case kind == reflect.Interface:
		return p.encodeInterface(c, v, to)
	case kind == reflect.Slice:
		return p.encodeSlice(c, v, to)
	case kind == reflect.Array && v.Type.Elem() != nil && v.Type.Elem().Size == 1:
		c.Whole = true
		return p.encodeContents(c, v.Addr, v.Type.Len(), to)
	}
	return fmt.Errorf("a %s is changed by its parts: name a field or an element; one transaction can change several (ri.change): %w", v.Type.Name, ErrRefused)
}

// scalarBytes is a bool, integer or float as it stands in memory.
func scalarBytes(t *symbols.Type, to Operand) ([]byte, error) {
	native := to.Native
	if native == nil {
		var err error
		if native, err = nativeOf(to.Value); err != nil {
			return nil, err
		}
	}
	wrong := fmt.Errorf("%s is no value of type %s: %w", to.Text, t.Name, ErrRefused)
	var word uint64
	switch k := t.Kind; {
	case k == reflect.Bool:
		b, ok := native.(bool)
		if !ok {
			return nil, wrong
		}
		if b {
			word = 1
		}
	case k == reflect.Float32, k == reflect.Float64:
		f, ok := asFloat(native)
		if !ok {
			return nil, wrong
		}
		if word = math.Float64bits(f); k == reflect.Float32 {
			if math.Abs(f) > math.MaxFloat32 && !math.IsInf(f, 0) {
				return nil, fmt.Errorf("%s is too large for a %s: %w", to.Text, t.Name, ErrRefused)
			}
			word = uint64(math.Float32bits(float32(f)))
		}
	default:
		n, ok := asInteger(native)
		low, high := rangeOf(t)
		if f, isFloat := native.(float64); !ok && isFloat && f == math.Trunc(f) && math.Abs(f) >= 1<<62 {
			return nil, fmt.Errorf("%s does not fit into a %s, which goes from %s to %s: %w", to.Text, t.Name, low, high, ErrRefused)
		}
		if !ok {
			return nil, wrong
		}
		if n.Cmp(low) < 0 || n.Cmp(high) > 0 {
			return nil, fmt.Errorf("%s does not fit into a %s, which goes from %s to %s: %w", to.Text, t.Name, low, high, ErrRefused)
		}
		if word = n.Uint64(); n.Sign() < 0 {
			word = uint64(n.Int64())
		}
	}
	return binary.LittleEndian.AppendUint64(nil, word)[:t.Size], nil
}

func (p *Plan) encodeComplex(c *Change, v values.Value, to Operand) (err error) {
	if c.Before, err = copyBytes(v, int(v.Type.Size)); err != nil {
		return err
	}
	n, ok := to.Native.(complex128)
	if f, real := asFloat(to.Native); real {
		n, ok = complex(f, 0), true
	}
	if to.Native == nil && (to.Value.Type.Kind == reflect.Complex64 || to.Value.Type.Kind == reflect.Complex128) {
		n, err = to.Value.Complex()
		ok = true
	}
	if !ok || err != nil {
		return errors.Join(err, fmt.Errorf("%s is no value of type %s (such as 1+2i): %w", describe(to), v.Type.Name, ErrRefused))
	}
	if v.Type.Size == 8 {
		c.After = binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(real(n))))
		c.After = binary.LittleEndian.AppendUint32(c.After, math.Float32bits(float32(imag(n))))
	} else {
		c.After = binary.LittleEndian.AppendUint64(nil, math.Float64bits(real(n)))
		c.After = binary.LittleEndian.AppendUint64(c.After, math.Float64bits(imag(n)))
	}
	c.Whole = true
	c.AfterText = text(p.space.Local(c.After, v.Type))
	return nil
}

// encodeTime gives a time.Time another moment: without a reading of the monotonic clock, as of a time that was parsed, and in the location that it has; or that of
// another time.Time of the program, with all that is in it. The layout is that of package time (fields wall, ext and loc, Go 1.9 and later).
func (p *Plan) encodeTime(c *Change, v values.Value, to Operand) (err error) {
	if c.Before, err = copyBytes(v, 24); err != nil {
		return err
	}
	c.Whole = true
	switch t, ok := to.Native.(time.Time); {
	case ok:
		const unixToInternal = (1969*365 + 1969/4 - 1969/100 + 1969/400) * 86400
		c.After = binary.LittleEndian.AppendUint64(nil, uint64(t.Nanosecond()))
		c.After = binary.LittleEndian.AppendUint64(c.After, uint64(t.Unix()+unixToInternal))
		c.After = append(c.After, c.Before[16:]...)
	case to.Native == nil && sameType(v.Type, to.Value.Type):
		if c.After, err = copyBytes(to.Value, 24); err != nil {
			return err
		}
		c.holds(to)
		c.Pointers = word(c.After[16:]) != word(c.Before[16:])
	default:
		return fmt.Errorf("%s is no moment such as 2026-01-31T12:00:00Z, and no time.Time of the program: %w", describe(to), ErrRefused)
	}
	c.AfterText = text(p.space.Local(c.After, v.Type))
	return nil
}

// rangeOf is what an integer type can hold.
func rangeOf(t *symbols.Type) (low, high *big.Int) {
	bits := uint(8 * t.Size)
	one := big.NewInt(1)
	if t.Kind >= reflect.Uint {
		return new(big.Int), new(big.Int).Sub(new(big.Int).Lsh(one, bits), one)
	}
	half := new(big.Int).Lsh(one, bits-1)
	return new(big.Int).Neg(half), new(big.Int).Sub(half, one)
}

func asInteger(v any) (*big.Int, bool) {
	switch v := v.(type) {
	case int64:
		return big.NewInt(v), true
	case uint64:
		return new(big.Int).SetUint64(v), true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) <= 1<<53 {
			return big.NewInt(int64(v)), true
		}
	}
	return nil, false
}

func asFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// nativeOf reads a scalar or string of the program.
func nativeOf(v values.Value) (any, error) {
	if !v.IsValid() {
		return nil, fmt.Errorf("no value: %w", ErrRefused)
	}
	if inner, offset, ok := v.Space().Atomic(v.Type); ok {
		return nativeOf(v.Space().At(v.Addr+uint64(offset), inner))
	}
	switch k := v.Type.Kind; {
	case k == reflect.Bool:
		return v.Bool()
	case k >= reflect.Int && k <= reflect.Int64:
		return v.Int()
	case k >= reflect.Uint && k <= reflect.Uintptr:
		return v.Uint()
	case k == reflect.Float32, k == reflect.Float64:
		return v.Float()
	case k == reflect.String:
		s, full, err := v.Text(maxString)
		if err == nil && full > len(s) {
			err = fmt.Errorf("a string of %d bytes: %w", full, ErrRefused)
		}
		return s, err
	}
	return nil, fmt.Errorf("a %s is no plain value: %w", v.Type.Name, ErrRefused)
}

// maxString bounds new strings and contents, in bytes.
const maxString = 1 << 20

// same compares a place with an operand.
func (p *Plan) same(v values.Value, to Operand) (bool, error) {
	if to.Native == nil {
		if pointerKind(v.Type.Kind) && v.Type.Kind != reflect.String {
			return v.Same(to.Value)
		}
		native, err := nativeOf(to.Value)
		if err != nil {
			return false, err
		}
		to.Native = native
	}
	if _, ok := to.Native.(values.Nil); ok {
		return v.IsNil()
	}
	if v.Type.Kind == reflect.Slice || v.Type.Kind == reflect.Array {
		want, ok := to.Native.(string)
		have, _, err := v.Bytes(maxString)
		return ok && string(have) == want, err
	}
	if f, ok := to.Native.(float64); ok && v.Type.Kind == reflect.Float32 {
		to.Native = float64(float32(f))
	}
	return v.Equals(to.Native)
}

// mutated computes a number from another, exactly.
func mutated(v values.Value, operator string, by Operand) (Operand, error) {
	have, err := nativeOf(v)
	if err != nil {
		return Operand{}, err
	}
	native := by.Native
	if native == nil {
		if native, err = nativeOf(by.Value); err != nil {
			return Operand{}, err
		}
	}
	zero := fmt.Errorf("division by zero: %w", ErrRefused)
	unknown := fmt.Errorf("no such operator: += -= *= /= %%= can be used, on numbers: %w", ErrRefused)
	if k := v.Type.Kind; k == reflect.Float32 || k == reflect.Float64 {
		a, _ := asFloat(have)
		b, ok := asFloat(native)
		if !ok {
			return Operand{}, fmt.Errorf("%s is no number: %w", by.Text, ErrRefused)
		}
		switch operator {
		case "+=":
			a += b
		case "-=":
			a -= b
		case "*=":
			a *= b
		case "/=":
			if b == 0 {
				return Operand{}, zero
			}
			a /= b
		default:
			return Operand{}, unknown
		}
		return Native(a), nil
	}
	a, ok := asInteger(have)
	b, ok2 := asInteger(native)
	if !ok || !ok2 {
		return Operand{}, fmt.Errorf("%s and %s are no two integers: %w", text(v), by.Text, ErrRefused)
	}
	if (operator == "/=" || operator == "%=") && b.Sign() == 0 {
		return Operand{}, zero
	}
	r := new(big.Int)
	switch operator {
	case "+=":
		r.Add(a, b)
	case "-=":
		r.Sub(a, b)
	case "*=":
		r.Mul(a, b)
	case "/=":
		r.Quo(a, b)
	case "%=":
		r.Rem(a, b)
	default:
		return Operand{}, unknown
	}
	switch {
	case r.IsInt64():
		return Native(r.Int64()), nil
	case r.IsUint64():
		return Native(r.Uint64()), nil
	}
	return Operand{}, fmt.Errorf("%s overflows every integer: %w", r, ErrRefused)
}

// isNil tells whether an operand is nil.
func (o Operand) isNil() bool { _, ok := o.Native.(values.Nil); return ok }

// sameType tells whether two types are the program's same one.
func sameType(a, b *symbols.Type) bool { return a == b || a.Name == b.Name && a.Kind == b.Kind }

// holds adds what the operand's own path went through: the value must still be there, and alive, at the commit.
func (c *Change) holds(to Operand) {
	if to.Trace != nil {
		c.Words = append(c.Words, to.Trace.Words...)
		c.ByAddress = c.ByAddress || to.Trace.ByAddress
	}
	if v := to.Value; v.IsValid() && !values.IsLocal(v.Addr) {
		if b, err := copyBytes(v, int(min(v.Type.Size, 24))); err == nil {
			c.Words = append(c.Words, values.Word{Addr: v.Addr, Bytes: b})
		}
	}
}

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
			return fmt.Errorf("%s lies on a goroutine's stack, and nothing else may point there: %w", to.Text, ErrRefused)
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
		return fmt.Errorf("is nil, and giving an interface a type that it doesn't have needs a table that only the program makes: %w", ErrRefused)
	}
	if err != nil {
		return err
	}
	next := to.Value
	if to.Native != nil {
		return fmt.Errorf("%s would need a box of its own; an interface can be set to an existing value of the type that it holds (%s), or to nil: %w", to.Text, now.Type.Name, ErrRefused)
	}
	if next.Type.Kind == reflect.Interface {
		if next, err = next.Elem(); err != nil {
			return err
		}
	}
	if !sameType(now.Type, next.Type) {
		return fmt.Errorf("it holds a %s, and %s is a %s: a new type in an interface needs a table that only the program makes: %w", now.Type.Name, to.Text, next.Type.Name, ErrRefused)
	}
	c.After = append([]byte(nil), c.Before...)
	switch {
	case now.Addr == v.Addr+8: // the data word is the value itself
		word, err := p.space.Uint64(next.Addr)
		if err != nil {
			return err
		}
		if _, ok := p.space.InStack(word); ok {
			return fmt.Errorf("%s lies on a goroutine's stack, and nothing else may point there: %w", to.Text, ErrRefused)
		}
		binary.LittleEndian.PutUint64(c.After[8:], word)
	case to.Value.Type.Kind == reflect.Interface && !values.IsLocal(next.Addr): // another box of the same type
		binary.LittleEndian.PutUint64(c.After[8:], next.Addr)
	default:
		return fmt.Errorf("%s would need a box of its own; another interface's value can be taken, or nil: %w", to.Text, ErrRefused)
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
			return fmt.Errorf("has %d bytes and the new contents %d: only as many can take their place; change its length by reslicing within its capacity of %d (%s[:%d]), in a transaction before: %w",
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
		return fmt.Errorf("%s is no %s; a slice can be resliced within its capacity (%s[:n]) or set to nil, its elements changed one by one: %w", describe(to), v.Type.Name, c.Path, ErrRefused)
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
	if newData < data || offset > uint64(capacity) || offset+uint64(newLength) > uint64(capacity) || (newData-data)%size != 0 {
		return fmt.Errorf("%s is no part of the array that it has, with room for %d elements: appending beyond that needs memory that only the program's allocator gives: %w", to.Text, capacity, ErrRefused)
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

// encodeString gives a string other bytes. A string's bytes never change, so the new ones have to be somewhere: in the old string, in the
// program's own read-only data, in another string of the program, or in memory of their own.
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

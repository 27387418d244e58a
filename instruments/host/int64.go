package host

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"ri/instruments/lang"

	lua "github.com/yuin/gopher-lua"
)

// Exact integers. A Lua number is a float64, so an integer beyond 2^53 is a userdata that holds
// an int64, or a uint64 where it is beyond that. There is one for each value as long as the
// machine lives, so that == and table keys work; what fits a number is always a number.

// exact is an integer beyond 2^53 either way, from -2^63 to 2^64-1.
type exact struct {
	negative bool   // then the value is int64(bits)
	bits     uint64 // two's complement
}

func (e *exact) String() string {
	if e.negative {
		return strconv.FormatInt(int64(e.bits), 10)
	}
	return strconv.FormatUint(e.bits, 10)
}

func (e *exact) big() *big.Int {
	if e.negative {
		return big.NewInt(int64(e.bits))
	}
	return new(big.Int).SetUint64(e.bits)
}

func (e *exact) float() float64 {
	if e.negative {
		return float64(int64(e.bits))
	}
	return float64(e.bits)
}

// goValue is what a row holds of it.
func (e *exact) goValue() any {
	if e.negative || e.bits <= math.MaxInt64 {
		return int64(e.bits)
	}
	return e.bits
}

// exactOf says whether v is an exact integer.
func exactOf(v lua.LValue) (*exact, bool) {
	u, ok := v.(*lua.LUserData)
	if !ok {
		return nil, false
	}
	e, ok := u.Value.(*exact)
	return e, ok
}

func (h *Host) int64Value(v int64) lua.LValue {
	if v <= lang.MaxPlain && v >= -lang.MaxPlain {
		return lua.LNumber(v)
	}
	if u := h.signed[v]; u != nil {
		return u
	}
	u := &lua.LUserData{Value: &exact{negative: v < 0, bits: uint64(v)}, Metatable: h.metas.exact}
	h.signed[v] = u
	return u
}

func (h *Host) uint64Value(v uint64) lua.LValue {
	if v <= math.MaxInt64 {
		return h.int64Value(int64(v))
	}
	if u := h.unsigned[v]; u != nil {
		return u
	}
	u := &lua.LUserData{Value: &exact{bits: v}, Metatable: h.metas.exact}
	h.unsigned[v] = u
	return u
}

func (h *Host) bigValue(L *lua.LState, v *big.Int) lua.LValue {
	switch {
	case v.IsInt64():
		return h.int64Value(v.Int64())
	case v.IsUint64():
		return h.uint64Value(v.Uint64())
	}
	L.RaiseError("integer overflow: %s is beyond 64 bits", v)
	return lua.LNil
}

// parseInteger reads what ri.int and tonumber take: decimal, 0x, 0o, 0b, with underscores as Go writes them.
func (h *Host) parseInteger(text string) (lua.LValue, bool) {
	text = strings.TrimSpace(text)
	if v, err := strconv.ParseInt(text, 0, 64); err == nil {
		return h.int64Value(v), true
	}
	if v, err := strconv.ParseUint(text, 0, 64); err == nil {
		return h.uint64Value(v), true
	}
	return nil, false
}

// integer gives the integer that v is: an exact one, or an integral number.
func integer(v lua.LValue) (*big.Int, bool) {
	if e, ok := exactOf(v); ok {
		return e.big(), true
	}
	if n, ok := v.(lua.LNumber); ok {
		f := float64(n)
		if f == math.Trunc(f) && math.Abs(f) < 1<<70 {
			i, _ := big.NewFloat(f).Int(nil)
			return i, true
		}
	}
	return nil, false
}

func float(v lua.LValue) (float64, bool) {
	if e, ok := exactOf(v); ok {
		return e.float(), true
	}
	n, ok := v.(lua.LNumber)
	return float64(n), ok
}

// uint64Arg is an argument that holds 64 bits: an address, an operand of ri.bit.
func (h *Host) uint64Arg(L *lua.LState, n int) uint64 {
	switch v := L.Get(n).(type) {
	case lua.LString:
		if value, ok := h.parseInteger(string(v)); ok {
			i, _ := integer(value)
			return lowBits(i)
		}
	default:
		if i, ok := integer(v); ok && i.BitLen() <= 64 {
			return lowBits(i)
		}
	}
	L.ArgError(n, "an integer expected, got "+lang.LuaText(L.Get(n)))
	return 0
}

func lowBits(i *big.Int) uint64 {
	if i.IsInt64() {
		return uint64(i.Int64())
	}
	return i.Uint64()
}

// compare orders two numbers, exact or not; strings among each other too.
func (h *Host) compare(L *lua.LState, a, b lua.LValue) int {
	if x, ok := a.(lua.LString); ok {
		if y, ok := b.(lua.LString); ok {
			return strings.Compare(string(x), string(y))
		}
	}
	if x, ok := integer(a); ok {
		if y, ok := integer(b); ok {
			return x.Cmp(y)
		}
	}
	x, ok1 := float(a)
	y, ok2 := float(b)
	if !ok1 || !ok2 {
		L.RaiseError("can't compare %s with %s", h.describe(a), h.describe(b))
	}
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// exactMeta is the metatable of exact integers.
func (h *Host) exactMeta() *lua.LTable {
	t := h.lua.NewTable()
	set := func(name string, f func(L *lua.LState) int) { t.RawSetString(name, h.function(f)) }
	arithmetic := func(name string, whole func(z, x, y *big.Int) *big.Int, real func(x, y float64) float64) {
		set(name, func(L *lua.LState) int {
			a, b := L.Get(1), L.Get(2)
			if x, ok := integer(a); ok && whole != nil {
				if y, ok := integer(b); ok {
					if name == "__mod" && y.Sign() == 0 {
						L.RaiseError("integer modulo by zero")
					}
					L.Push(h.bigValue(L, whole(new(big.Int), x, y)))
					return 1
				}
			}
			x, ok1 := float(a)
			y, ok2 := float(b)
			if !ok1 || !ok2 {
				L.RaiseError("can't calculate with %s and %s", h.describe(a), h.describe(b))
			}
			L.Push(lua.LNumber(real(x, y)))
			return 1
		})
	}
	arithmetic("__add", (*big.Int).Add, func(x, y float64) float64 { return x + y })
	arithmetic("__sub", (*big.Int).Sub, func(x, y float64) float64 { return x - y })
	arithmetic("__mul", (*big.Int).Mul, func(x, y float64) float64 { return x * y })
	arithmetic("__mod", floorMod, func(x, y float64) float64 { return x - math.Floor(x/y)*y })
	arithmetic("__div", nil, func(x, y float64) float64 { return x / y })
	arithmetic("__pow", nil, math.Pow)
	set("__unm", func(L *lua.LState) int {
		x, _ := integer(L.Get(1))
		L.Push(h.bigValue(L, new(big.Int).Neg(x)))
		return 1
	})
	set("__eq", func(L *lua.LState) int {
		L.Push(lua.LBool(h.compare(L, L.Get(1), L.Get(2)) == 0))
		return 1
	})
	set("__lt", func(L *lua.LState) int {
		L.Push(lua.LBool(h.compare(L, L.Get(1), L.Get(2)) < 0))
		return 1
	})
	set("__le", func(L *lua.LState) int {
		L.Push(lua.LBool(h.compare(L, L.Get(1), L.Get(2)) <= 0))
		return 1
	})
	set("__tostring", func(L *lua.LState) int {
		e, ok := exactOf(L.Get(1))
		if !ok {
			L.RaiseError("an integer expected")
		}
		L.Push(lua.LString(e.String()))
		return 1
	})
	return t
}

// floorMod has the sign of the divisor, as Lua's % does.
func floorMod(z, x, y *big.Int) *big.Int {
	_, m := new(big.Int).QuoRem(x, y, z)
	if m.Sign() != 0 && m.Sign() != y.Sign() {
		m.Add(m, y)
	}
	return m
}

// toNumber is tonumber: an integer beyond 2^53 stays exact.
func (h *Host) toNumber(L *lua.LState) int {
	v := L.CheckAny(1)
	if _, ok := exactOf(v); ok {
		L.Push(v)
		return 1
	}
	result := lua.LValue(lua.LNil)
	switch v := v.(type) {
	case lua.LNumber:
		result = v
	case lua.LString:
		text := strings.TrimSpace(string(v))
		base := L.OptInt(2, 10)
		if base < 2 || base > 36 {
			L.ArgError(2, "base out of range")
		}
		digits := text
		if lower := strings.ToLower(text); (L.GetTop() < 2 || base == 16) && strings.HasPrefix(lower, "0x") {
			digits, base = text[2:], 16
		}
		if strings.Contains(digits, "_") {
			break
		}
		if i, err := strconv.ParseInt(digits, base, 64); err == nil {
			result = h.int64Value(i)
		} else if u, err := strconv.ParseUint(digits, base, 64); err == nil {
			result = h.uint64Value(u)
		} else if f, err := strconv.ParseFloat(text, 64); err == nil && L.GetTop() < 2 {
			result = lua.LNumber(f)
		}
	}
	L.Push(result)
	return 1
}

// openIntegers adds ri.int, ri.float, ri.cmp, ri.hex and ri.bit.
func (h *Host) openIntegers(ri *lua.LTable) {
	set := func(t *lua.LTable, name string, f func(L *lua.LState) int) { t.RawSetString(name, h.function(f)) }
	set(ri, "int", func(L *lua.LState) int {
		v := L.CheckAny(1)
		if s, ok := v.(lua.LString); ok {
			value, ok := h.parseInteger(string(s))
			if !ok {
				L.RaiseError("ri.int: %s is no integer of 64 bits", lang.LuaText(v))
			}
			L.Push(value)
			return 1
		}
		i, ok := integer(v)
		if !ok {
			L.RaiseError("ri.int: %s is no integer", h.describe(v))
		}
		L.Push(h.bigValue(L, i))
		return 1
	})
	set(ri, "float", func(L *lua.LState) int {
		f, ok := float(L.CheckAny(1))
		if !ok {
			L.RaiseError("ri.float: %s is no number", h.describe(L.Get(1)))
		}
		L.Push(lua.LNumber(f))
		return 1
	})
	set(ri, "cmp", func(L *lua.LState) int {
		L.Push(lua.LNumber(h.compare(L, L.CheckAny(1), L.CheckAny(2))))
		return 1
	})
	set(ri, "hex", func(L *lua.LState) int {
		if s, ok := L.Get(1).(lua.LString); ok {
			if len(s) > maxString/4 {
				L.RaiseError("ri.hex: the string is too long")
			}
			L.Push(lua.LString(fmt.Sprintf("%x", string(s))))
			return 1
		}
		L.Push(lua.LString(fmt.Sprintf("0x%x", h.uint64Arg(L, 1))))
		return 1
	})
	bit := h.lua.NewTable()
	ri.RawSetString("bit", bit)
	binary := func(name string, f func(x, y uint64) uint64) {
		set(bit, name, func(L *lua.LState) int {
			result := h.uint64Arg(L, 1)
			for i := 2; i <= L.GetTop(); i++ {
				result = f(result, h.uint64Arg(L, i))
			}
			L.Push(h.uint64Value(result))
			return 1
		})
	}
	binary("band", func(x, y uint64) uint64 { return x & y })
	binary("bor", func(x, y uint64) uint64 { return x | y })
	binary("bxor", func(x, y uint64) uint64 { return x ^ y })
	binary("lshift", func(x, y uint64) uint64 { return x << y })
	binary("rshift", func(x, y uint64) uint64 { return x >> y })
	set(bit, "bnot", func(L *lua.LState) int {
		L.Push(h.uint64Value(^h.uint64Arg(L, 1)))
		return 1
	})
}

// null is ri.null: what stands for nil where Lua's own can't be, as the key that an iterator gives. A nil there would
// end the loop, though Go's maps may have it as a key like any other.
type null struct{}

func (h *Host) makeNull() *lua.LUserData {
	meta := h.lua.NewTable()
	meta.RawSetString("__tostring", h.function(func(L *lua.LState) int {
		L.Push(lua.LString("nil"))
		return 1
	}))
	meta.RawSetString("__index", h.function(func(L *lua.LState) int {
		L.RaiseError("ri.null is a nil key: it has no %s", lang.LuaText(L.Get(2)))
		return 0
	}))
	meta.RawSetString("__newindex", h.metas.readOnly)
	return &lua.LUserData{Value: null{}, Metatable: meta}
}

// orNull gives ri.null for nil.
func (h *Host) orNull(v lua.LValue) lua.LValue {
	if v == lua.LNil {
		return h.null
	}
	return v
}

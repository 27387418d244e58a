package host

import (
	"fmt"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ri/instruments/rows"
	"ri/values"
)

var dumpDefaults = values.DumpOptions{}

// riDump is a value in Go syntax, or a Lua table in Lua's.
func (h *Host) riDump(L *lua.LState) int {
	opt := dumpDefaults
	if t, ok := L.Get(2).(*lua.LTable); ok {
		h.onlyKeys(L, t, "depth", "elems", "bytes", "oneline")
		opt.Depth, opt.Elems, opt.Bytes = optInt(L, t, "depth", 0), optInt(L, t, "elems", 0), optInt(L, t, "bytes", 0)
		opt.OneLine = lua.LVAsBool(t.RawGetString("oneline"))
	}
	L.Push(lua.LString(h.dumpLua(L.Get(1), opt, 0)))
	return 1
}

func (h *Host) dumpRef(r *ref, opt values.DumpOptions) string {
	v := r.value()
	if r.binding.class == classPointer {
		if r.binding.structure() != nil {
			return "&" + v.Dump(opt)
		}
		return fmt.Sprintf("(%s)(0x%x)", r.binding.goType.Name, r.addr)
	}
	if r.binding.class == classHandle && r.binding.goType.Elem() == nil {
		if f, err := v.Func(); err == nil {
			return f.Func
		}
	}
	return v.Dump(opt)
}

func (h *Host) dumpLua(v lua.LValue, opt values.DumpOptions, depth int) string {
	switch v := v.(type) {
	case lua.LString:
		return strconv.Quote(string(v))
	case lua.LNumber:
		return exactText(v)
	case *lua.LUserData:
		switch x := v.Value.(type) {
		case null:
			return "nil"
		case *exact:
			return x.String()
		case *ref:
			return h.dumpRef(x, opt)
		case *place:
			return x.path
		case *goroutine:
			return x.String()
		}
	case *lua.LTable:
		if depth > 4 {
			return "{...}"
		}
		var parts []string
		n := 0
		for k, e := v.Next(lua.LNil); k != lua.LNil; k, e = v.Next(k) {
			if len(parts) == 64 {
				parts = append(parts, "...")
				break
			}
			text := h.dumpLua(e, opt, depth+1)
			switch key := k.(type) {
			case lua.LString:
				text = string(key) + " = " + text
			case lua.LNumber:
				if n++; int(key) != n {
					text = "[" + numberText(key) + "] = " + text
				}
			default:
				text = "[" + h.dumpLua(k, opt, depth+1) + "] = " + text
			}
			parts = append(parts, text)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return v.String()
}

// riJSON is a value as JSON: integers exact, NaN and Inf as strings, what isn't UTF-8 as {"$b64": ...}.
func (h *Host) riJSON(L *lua.LState) int {
	left := maxElements
	value, err := h.plain(L.Get(1), 0, &left)
	if err != nil {
		h.raise(L, fmt.Errorf("ri.json: %w", err))
	}
	L.Push(lua.LString(rows.AppendJSON(nil, value)))
	return 1
}

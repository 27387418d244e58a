package kit

import (
	"context"
	"encoding/json"
	"reflect"
	"time"
)

// context makes a context: its types are Go's own and have no names. It ends when it did if it had a deadline, or had
// ended when it was given; that somebody cancelled it later isn't recorded. What it has by keys is there as far as
// the library's source has the types.
func (d *riDecoder) context(raw json.RawMessage, path string, depth int) context.Context {
	out := context.Background()
	m, special := riSpecial(raw)
	kind, _ := riText(m, "$type")
	if !special || depth > riContexts {
		return out
	}
	if ref, ok := riText(m, "$ref"); ok {
		if c, ok := d.contexts[ref]; ok {
			return c
		}
		return out
	}
	type fields map[string]json.RawMessage
	of := func(raw json.RawMessage) (f fields) {
		if json.Unmarshal(raw, &f) != nil {
			return nil
		}
		return f
	}
	own := of(m["value"])
	parent := func(f fields) context.Context { return d.context(f["Context"], path+".Context", depth+1) }
	ended := func(f fields) bool {
		e := f["err"]
		return len(e) > 0 && string(e) != "null" && e[0] != '{' || d.holds(e)
	}
	switch kind {
	case "context.backgroundCtx", "context.todoCtx", "*context.emptyCtx":
	case "*context.cancelCtx":
		c, cancel := context.WithCancel(parent(own))
		out = c
		d.ends(cancel, ended(own))
	case "*context.timerCtx":
		inner := of(own["cancelCtx"])
		out = parent(inner)
		text, _ := riText(of(own["deadline"]), "$time")
		if when, err := time.Parse(time.RFC3339Nano, text); err == nil {
			c, cancel := context.WithDeadline(out, when)
			out = c
			d.ends(cancel, ended(inner))
		}
	case "*context.valueCtx":
		out = parent(own)
		var key, value any
		before := len(d.absent)
		if d.into(reflect.ValueOf(&key).Elem(), own["key"], path+".key") == nil && key != nil &&
			reflect.TypeOf(key).Comparable() && d.into(reflect.ValueOf(&value).Elem(), own["val"], path+".val") == nil {
			out = context.WithValue(out, key, value)
		}
		d.absent = d.absent[:before] // what others have put there the library can't ask for
	case "context.withoutCancelCtx":
		out = context.WithoutCancel(d.context(own["c"], path+".c", depth+1))
	default:
		d.missing(path, "a context of type "+kind+": one without an end stands in for it")
	}
	if d.contexts == nil {
		d.contexts = map[string]context.Context{}
	}
	d.contexts[path] = out
	return out
}

// ends ends a context that had ended.
func (d *riDecoder) ends(cancel func(), ended bool) {
	if d.cancels = append(d.cancels, cancel); ended {
		cancel()
	}
}

// holds tells whether what is atomic holds something.
func (d *riDecoder) holds(raw json.RawMessage) bool {
	m, ok := riSpecial(raw)
	_, typed := m["$type"]
	return ok && typed
}

// riContexts bounds how many contexts one is made of.
const riContexts = 64

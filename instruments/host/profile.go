package host

import (
	"fmt"
	"time"

	"ri/instruments/rows"

	lua "github.com/yuin/gopher-lua"
)

// An instrument whose rows are about stacks (goroutines by where they are, heap by what holds it, time by where it goes) declares what
// its samples count, and gives one with ri.sample beside its rows. --pprof and --folded write those to a file, whatever the instrument.

// sampleDefaults are the values of a script that declares none.
var sampleDefaults = []rows.ProfileValue{{Type: "samples", Unit: "count"}}

func (d *headerDecoder) profileValue(key string, t *lua.LTable) rows.ProfileValue {
	d.keys(t, key, "type", "unit")
	v := rows.ProfileValue{Type: d.text(t, key, "type"), Unit: d.text(t, key, "unit")}
	if v.Type == "" || v.Unit == "" {
		d.fail(key, "%s needs a type and a unit: {type = 'goroutine', unit = 'count'}", key)
	}
	return v
}

// ProfileValues are what the script's samples count.
func (s *Script) ProfileValues() []rows.ProfileValue {
	if s.Header == nil {
		return sampleDefaults
	}
	return s.Header.Profile
}

// riSample gives a sample: frames as ri.stack has them, a number or a list of them, and labels.
func (h *Host) riSample(L *lua.LState) int {
	frames, labels := L.CheckTable(1), L.OptTable(3, nil)
	declared := h.script.ProfileValues()
	if len(declared) == 0 {
		L.RaiseError("ri.sample: the header declares no profile = {{type = 'goroutine', unit = 'count'}}")
	}
	sample := rows.Sample{}
	switch v := L.Get(2).(type) {
	case *lua.LTable:
		for i := 1; i <= v.Len(); i++ {
			sample.Values = append(sample.Values, h.sampleValue(L, v.RawGetInt(i)))
		}
	default:
		sample.Values = []int64{h.sampleValue(L, v)}
	}
	if len(sample.Values) != len(declared) {
		L.RaiseError("ri.sample: %d values, the profile has %d", len(sample.Values), len(declared))
	}
	if !h.Opt.Profile {
		return 0 // nobody wants it
	}
	for i := 1; i <= frames.Len(); i++ {
		f, ok := frames.RawGetInt(i).(*lua.LTable)
		if !ok {
			L.RaiseError("ri.sample: frame %d is no {func = ..., file = ..., line = ...}", i)
		}
		line, _ := h.plainInt(f.RawGetString("line"))
		pc, _ := h.plainInt(f.RawGetString("pc"))
		sample.Frames = append(sample.Frames, rows.SampleFrame{
			Func: lua.LVAsString(f.RawGetString("func")), File: lua.LVAsString(f.RawGetString("file")), Line: line, PC: uint64(pc),
		})
	}
	if n := len(sample.Frames); n > 1 && sample.Frames[n-1].Func == "runtime.goexit" { // below all goroutines; Go's own profiles leave it out too
		sample.Frames = sample.Frames[:n-1]
	}
	if labels != nil {
		sample.Labels = map[string]string{}
		for k, v := labels.Next(lua.LNil); k != lua.LNil; k, v = labels.Next(k) {
			sample.Labels[k.String()] = v.String()
		}
	}
	if err := h.Opt.Sink.Sample(sample); err != nil {
		h.cancel(err)
		h.raise(L, err)
	}
	return 0
}

func (h *Host) sampleValue(L *lua.LState, v lua.LValue) int64 {
	n, err := h.plainInt(v)
	if err != nil {
		L.RaiseError("ri.sample: %s is no integer", h.describe(v))
	}
	return n
}

// plainInt is an integer of a script, exact or not.
func (h *Host) plainInt(v lua.LValue) (int64, error) {
	left := 1
	value, err := h.plain(v, 0, &left)
	if err != nil {
		return 0, err
	}
	switch n := value.(type) {
	case int64:
		return n, nil
	case uint64:
		return int64(n), nil
	case time.Duration:
		return int64(n), nil
	}
	return 0, fmt.Errorf("no integer")
}

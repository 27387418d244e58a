package change

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"ri/values"
)

// settings are what of the runtime is made to be set while the program runs: by package debug, by GODEBUG, and the
// rates of profiles.
var settings = []string{"runtime.gcController.gcPercent", "runtime.gcController.heapMinimum",
	"runtime.gcController.memoryLimit", "runtime.debug.", "runtime.MemProfileRate",
	"runtime.blockprofilerate", "runtime.mutexprofilerate"}

// writable gives what is in a place that can be changed, or says why it can't be and what can be done instead.
func (p *Plan) writable(at Place) (values.Value, error) {
	refuse := func(format string, args ...any) (values.Value, error) {
		return values.Value{}, fmt.Errorf("%s: "+format+": %w", append(append([]any{at.Path}, args...), ErrRefused)...)
	}
	if t := at.Trace; t != nil {
		switch {
		case t.Text:
			return refuse("a string's bytes are shared with other strings, and never change; give the whole string " +
				"a new value")
		case t.Box:
			return refuse("lies in the box of an interface, which is shared and immutable: every other holder of " +
				"the value would see the change; " +
				"have the interface hold another existing value, or change what a pointer in it leads to")
		case t.Queue:
			return refuse("lies in a channel's queue, which senders and receivers change without a lock that can be " +
				"looked at; change what a queued pointer leads to, or where the received value is kept")
		}
	}
	if name := strings.TrimLeft(at.Path, "(*&"); strings.HasPrefix(name, "runtime.") &&
		!slices.ContainsFunc(settings, func(s string) bool { return strings.HasPrefix(name, s) }) {
		return refuse("belongs to Go's runtime, which relies on it between any two instructions; of the runtime can "+
			"be set: %s", strings.Join(settings, ", "))
	}
	v, err := p.readable(at)
	if err != nil {
		return v, err
	}
	switch v.Type.Kind {
	case reflect.UnsafePointer:
		return refuse("an unsafe.Pointer has no type that a new value could be checked against")
	case reflect.Invalid:
		return refuse("its type is not described by the program's debug information")
	}
	return v, nil
}

// checkMemory refuses places that no Go variable of the program's own has.
func (p *Plan) checkMemory(c *Change) error {
	end := c.Addr + uint64(max(len(c.Before), 1))
	for _, m := range p.mappings {
		if c.Addr < m.Start || c.Addr >= m.End {
			continue
		}
		if !m.Write {
			return fmt.Errorf("%s lies at %#x in read-only memory (%s), where the compiler puts what never changes; "+
				"change the variable that refers to it: %w", c.Path, c.Addr, mappingName(m.Path), ErrRefused)
		}
	}
	for _, name := range []string{"runtime.staticuint64s", "runtime.zeroVal"} {
		if v, err := p.space.Var(name); err == nil && c.Addr < v.Addr+uint64(v.Type.Size) && v.Addr < end {
			return fmt.Errorf("%s lies in %s, which all of the program shares (small numbers in interfaces, missing "+
				"map elements): %w", c.Path, name, ErrRefused)
		}
	}
	if g, ok := p.space.InStack(c.Addr); ok {
		return fmt.Errorf("%s lies on the stack of goroutine %d, whose code may keep the value in a register and "+
			"not see the change; change what it was copied from, or what it leads to: %w", c.Path, g.ID, ErrRefused)
	}
	return nil
}

func mappingName(path string) string {
	if path == "" {
		return "no file"
	}
	return path
}

// outsideHeap tells whether a pointer leads to where no collector frees anything: nil, the executable's own data, or a
// library's.
func (p *Plan) outsideHeap(word uint64) bool {
	if word == 0 {
		return true
	}
	for _, m := range p.mappings {
		if word >= m.Start && word < m.End {
			return m.Path != "" && m.Path[0] == '/' || p.inModule(word)
		}
	}
	return true // no address at all: a length, or nothing that a collector has
}

// inModule tells whether an address lies in the program's data or bss, which is mapped without a name beyond the file's
// own bytes.
func (p *Plan) inModule(word uint64) bool {
	v, err := p.space.Var("runtime.firstmoduledata")
	if err != nil {
		return false
	}
	var low, high uint64
	for name, at := range map[string]*uint64{"noptrdata": &low, "end": &high} {
		f, err := v.Field(name)
		if err != nil {
			return false
		}
		if *at, err = f.Uint(); err != nil {
			return false
		}
	}
	return word >= low && word < high
}

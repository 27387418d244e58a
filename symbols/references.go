package symbols

import "strings"

// References calls found with each place in the runtime's code that refers to data. at is the instruction's offset in
// the function, target the link-time address referred to.
func References(f *File, found func(function string, at int, target uint64)) {
	t := f.pcln
	if t == nil {
		return
	}
	for i := range t.nfunc {
		fn, ok := t.head(i)
		if !ok {
			continue
		}
		name := fn.name()
		if !strings.HasPrefix(name, "runtime.") && !strings.HasPrefix(name, "internal/runtime/") {
			continue
		}
		code, entry := f.Code(t.entry(i))
		for at := 0; at < len(code); {
			target, length, ok := f.arch.Reference(code[at:], entry+uint64(at))
			if ok {
				found(name, at, target)
			}
			at += max(length, 1)
		}
	}
}

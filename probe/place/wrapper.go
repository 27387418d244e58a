package place

import (
	"strings"

	"ri/symbols"
)

// maxWrappers bounds how many functions that the compiler made call each other.
const maxWrappers = 8

// callee follows functions that the compiler made to call others to one that is in the source; why says why there is
// none.
func callee(f *symbols.File, entry uint64) (name, why string) {
	for range maxWrappers {
		info, ok := f.FuncInfo(entry)
		if !ok {
			break
		}
		if !info.Wrapper {
			return info.Name, ""
		}
		b := read(f, entry)
		if b == nil {
			break
		}
		to, inlined := b.callee()
		if inlined != "" {
			return inlined, ""
		}
		if to == 0 {
			return "", "the compiler made it to call a method of an embedded interface, which is another's"
		}
		entry = to
	}
	return "", "what it calls isn't known"
}

// callee finds what a function that the compiler made calls: by its entry, or by name where that was inlined.
func (b *body) callee() (entry uint64, inlined string) {
	g := b.graph()
	for _, call := range g.calls {
		if call.Parent < 0 && !call.Wrapper && !strings.HasPrefix(call.Func, "runtime.") {
			return 0, call.Func
		}
	}
	for _, in := range b.list {
		if in.target == 0 || in.flow != call && in.flow != jump || in.target >= b.info.Entry && in.target < b.info.End {
			continue
		}
		if info, ok := b.file.FuncInfo(in.target); ok && info.Entry == in.target && !aside(info.Name) {
			return in.target, ""
		}
	}
	return 0, ""
}

// aside tells functions that the compiler's calls go to beside the one that is meant.
func aside(name string) bool {
	return strings.HasPrefix(name, "runtime.morestack") || strings.HasPrefix(name, "runtime.panic") ||
		strings.HasPrefix(name, "runtime.duff") || strings.HasPrefix(name, "runtime.gcWriteBarrier") ||
		strings.HasPrefix(name, "runtime.new") || strings.HasPrefix(name, "runtime.typedmemmove") ||
		strings.HasPrefix(name, "runtime.wb") || name == "runtime.memmove"
}

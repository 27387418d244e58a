package symbols

import "debug/elf"

// LinkerSymbol names what lies at a link-time address by the executable's symbol table, and says how far into it that
// is. It is for code that is not Go's. ok is false where there is none, as in stripped executables.
func (f *File) LinkerSymbol(addr uint64) (name string, off uint64, ok bool) {
	f.symbolsOnce.Do(func() {
		if f.debug != nil {
			f.symbols, _ = f.debug.Symbols()
		}
	})
	for i := range f.symbols {
		s := &f.symbols[i]
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Value <= addr && addr-s.Value < s.Size {
			track(f.uses, usedSymbols, *s)
			return s.Name, addr - s.Value, true
		}
	}
	return "", 0, false
}

package symbols

import "bytes"

// Code gives a function's machine code, as the file has it, by any link-time pc in it, with its link-time entry; nil
// where there is none.
func (f *File) Code(pc uint64) (code []byte, entry uint64) {
	info, ok := f.PC(pc)
	if !ok || info.End <= info.Entry || info.End-info.Entry > maxCode {
		return nil, 0
	}
	note(f.uses, usedFuncs, info.Entry)
	code = make([]byte, info.End-info.Entry)
	if !f.ReadStatic(code, info.Entry) {
		return nil, 0
	}
	return code, info.Entry
}

// CodeLacks is ErrNotRecorded of Go code that didn't travel with a file that came without its executable; else nil.
func (f *File) CodeLacks(pc uint64) error {
	info, ok := f.PC(pc)
	switch {
	case !ok || info.End <= info.Entry || info.End-info.Entry > maxCode:
		return nil
	case info.Err != nil:
		return info.Err
	}
	var first [1]byte
	if f.ReadStatic(first[:], info.Entry) {
		return nil
	}
	return f.notRecorded("the code of %s was", info.Func)
}

// maxCode bounds one function's code, in bytes.
const maxCode = 1 << 20

// FuncRange is where a function lies: its link-time entry and its size in bytes, padding included.
func (f *File) FuncRange(name string) (entry, size uint64, err error) {
	if _, entry, err = f.Func(name); err != nil {
		return 0, 0, err
	}
	t := f.pcln
	for i := range t.nfunc {
		if t.entry(i) == entry {
			return entry, t.entry(i+1) - entry, nil // the last entry of the table is where the text ends
		}
	}
	return 0, 0, say(ErrNotFound, "no function %s in %s", name, f.name)
}

// ConstantText finds bytes in the program's read-only data, and gives their link-time address: memory that never
// changes and that no collector minds.
func (f *File) ConstantText(text string) (addr uint64, ok bool) {
	section, data := f.section(".rodata")
	if text == "" {
		return 0, false
	}
	if i := bytes.Index(data, []byte(text)); i >= 0 {
		return section.Addr + uint64(i), true
	}
	return 0, false
}

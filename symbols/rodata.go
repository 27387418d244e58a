package symbols

import (
	"bytes"
)

// ConstantText finds bytes in the program's read-only data, and gives their link-time address: memory that never changes and that no collector minds.
func (f *File) ConstantText(text string) (addr uint64, ok bool) {
	section := f.elf.Section(".rodata")
	if section == nil || text == "" {
		return 0, false
	}
	data, err := section.Data()
	if err != nil {
		return 0, false
	}
	if i := bytes.Index(data, []byte(text)); i >= 0 {
		return section.Addr + uint64(i), true
	}
	return 0, false
}

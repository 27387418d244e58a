package symbols

// Code gives a function's machine code, as the file has it, by any link-time pc in it, with its link-time entry; nil where there is none.
func (f *File) Code(pc uint64) (code []byte, entry uint64) {
	info, ok := f.PC(pc)
	if !ok || info.End <= info.Entry || info.End-info.Entry > maxCode {
		return nil, 0
	}
	code = make([]byte, info.End-info.Entry)
	if !f.readStatic(code, info.Entry) {
		return nil, 0
	}
	return code, info.Entry
}

// maxCode bounds one function's code, in bytes.
const maxCode = 1 << 20

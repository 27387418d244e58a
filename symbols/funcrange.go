package symbols

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

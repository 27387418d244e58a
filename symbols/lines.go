package symbols

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// LineRange is code of a line of the source: of one function, or of a call that was inlined in it.
type LineRange struct {
	Entry      uint64 // of the function that has the code
	Start, End uint64
}

// LineRanges finds the code of a line. file may lack folders in front. Errors: ErrNotFound, with the next line that has
// code, or files that are near; ErrAmbiguous where several files that are called so have code there.
func (f *File) LineRanges(file string, line int) (name string, ranges []LineRange, err error) {
	t := f.pcln
	if t == nil {
		return "", nil, fmt.Errorf("line %s:%d: %w", file, line, f.pclnErr)
	}
	x := lineSearch{t: t, file: file, line: line, matched: map[uint32]string{}, found: map[string][]LineRange{}}
	for i := range t.nfunc {
		x.function(i)
	}
	var names []string
	for name := range x.found {
		names = append(names, name)
	}
	slices.Sort(names)
	switch {
	case len(names) == 1:
		return names[0], x.found[names[0]], nil
	case len(names) > 1:
		return "", nil, say(ErrAmbiguous, "%d files are called %s and have code at line %d: %s; give more of its path",
			len(names), file, line, strings.Join(names[:min(len(names), 8)], ", "))
	case !x.known:
		return "", nil, f.notFound("file", file, x.files)
	case x.after == 0:
		return "", nil, say(ErrNotFound, "%s has no code at line %d or behind it", file, line)
	}
	return "", nil, say(ErrNotFound, "%s has no code at line %d; the next line that has is %d", file, line, x.after)
}

// lineSearch goes through the functions for a line.
type lineSearch struct {
	t       *pclntab
	file    string
	line    int
	matched map[uint32]string // by where a file's name is: it, if it is the one that is looked for
	known   bool              // there is such a file
	after   int               // the next line that has code
	found   map[string][]LineRange
}

// files lists all files, for messages.
func (x *lineSearch) files() (out []string) {
	for off := range x.matched {
		out = append(out, string(x.t.text(x.t.files, off)))
	}
	return out
}

// match gives the name of the n-th file of a function's unit if it is the one that is looked for.
func (x *lineSearch) match(fn goFunc, n int32) (name string, ok bool) {
	var b [4]byte
	if n < 0 || !x.t.data.Copy(b[:], x.t.cu+(uint64(fn.word(8))+uint64(uint32(n)))*4) {
		return "", false
	}
	off := binary.LittleEndian.Uint32(b[:])
	if off == ^uint32(0) {
		return "", false
	}
	name, seen := x.matched[off]
	if !seen {
		full := string(x.t.text(x.t.files, off))
		if full == x.file || strings.HasSuffix(full, "/"+x.file) {
			name, x.known = full, true
		}
		x.matched[off] = name
	}
	return name, name != ""
}

func (x *lineSearch) function(i int) {
	t := x.t
	fn, ok := t.head(i)
	if !ok {
		return
	}
	type stretch struct {
		start, end uint64
		file       string
	}
	var of []stretch
	entry, end := t.entry(i), t.entry(i+1)
	at := entry
	t.eachRange(fn.word(5), func(val int32, length uint64) bool {
		if name, ok := x.match(fn, val); ok {
			of = append(of, stretch{at, min(at+length, end), name})
		}
		at += length
		return at < end
	})
	if len(of) == 0 {
		return
	}
	at = entry
	t.eachRange(fn.word(6), func(val int32, length uint64) bool {
		start, stop := at, min(at+length, end)
		at += length
		for _, s := range of {
			if from, to := max(start, s.start), min(stop, s.end); from < to {
				if int(val) == x.line {
					x.found[s.file] = append(x.found[s.file], LineRange{entry, from, to})
				} else if int(val) > x.line && (x.after == 0 || int(val) < x.after) {
					x.after = int(val)
				}
			}
		}
		return at < end
	})
}

package symbols

import (
	"bytes"
	"strings"

	"ri/symbols/sparse"
)

// The marks at both ends of the build info, as the program itself has it: cmd/go/internal/modload/build.go.
var (
	buildInfoStart = []byte("\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6")
	buildInfoEnd   = []byte("\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2")
)

// shortestSecret is how long a text from -ldflags=-X must be to be looked for by its bytes.
const shortestSecret = 4

// LinkerStrings are the places, as ranges of link-time addresses, of texts that the linker was given: by -ldflags=-X,
// and the build info. They are to be shown to nobody who may not see the build. The linker names each after its
// variable (cmd/link/internal/ld.addstrdata: "main.version.str"). A stripped program has no such names: there the
// values are looked for that its build info has, if it has them (not with -trimpath) and they have four bytes at least.
func (f *File) LinkerStrings() []sparse.Range {
	f.linkerStringsOnce.Do(func() {
		var all []sparse.Range
		f.eachSized(func(name []byte, addr, size uint64) {
			switch string(name) {
			case "runtime.buildVersion.str", "runtime.godebugDefault.str": // what the build settings say
				return
			}
			if size > 0 && size < maxSection && bytes.HasSuffix(name, []byte(".str")) {
				all = append(all, sparse.Range{Start: addr, End: addr + size})
			}
		})
		f.linkerStrings = sparse.Merge(append(all, f.saidToLinker()...))
	})
	return f.linkerStrings
}

// saidToLinker finds the same by the bytes.
func (f *File) saidToLinker() (all []sparse.Range) {
	section, data := f.section(".rodata")
	if section == nil {
		return nil
	}
	if start := bytes.Index(data, buildInfoStart); start >= 0 {
		if size := bytes.Index(data[start:], buildInfoEnd); size >= 0 {
			at := section.Addr + uint64(start)
			all = append(all, sparse.Range{Start: at, End: at + uint64(size+len(buildInfoEnd))})
		}
	}
	for _, s := range f.build.Settings {
		if s.Key != "-ldflags" {
			continue
		}
		for _, value := range givenByX(s.Value) {
			for at := 0; len(value) >= shortestSecret; at += len(value) {
				i := bytes.Index(data[at:], []byte(value))
				if i < 0 {
					break
				}
				at += i
				addr := section.Addr + uint64(at)
				all = append(all, sparse.Range{Start: addr, End: addr + uint64(len(value))})
			}
		}
	}
	return all
}

// givenByX are the values that -ldflags gives to variables.
func givenByX(ldflags string) (values []string) {
	take := false
	for _, arg := range splitQuoted(ldflags) {
		if !take {
			flag, rest, attached := strings.Cut(strings.TrimLeft(arg, "-"), "=")
			if flag != "X" || arg[0] != '-' {
				continue
			}
			if arg = rest; !attached {
				take = true
				continue
			}
		}
		take = false
		if _, value, ok := strings.Cut(arg, "="); ok {
			values = append(values, value)
		}
	}
	return values
}

// splitQuoted splits as the go command does with flags: at spaces, but not within single or double quotes that begin an
// argument (cmd/internal/quoted.Split).
func splitQuoted(s string) (args []string) {
	for {
		s = strings.TrimLeft(s, " \t\n\r")
		if s == "" {
			return args
		}
		end, next := strings.IndexAny(s, " \t\n\r"), 0
		if q := s[0]; q == '"' || q == '\'' {
			s = s[1:]
			end, next = strings.IndexByte(s, q), 1
		}
		if end < 0 {
			return append(args, s)
		}
		if end > 0 {
			args = append(args, s[:end])
		}
		s = s[end+next:]
	}
}

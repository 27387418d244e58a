package symbols

import (
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// The runtime of a program without debug information has the same layouts as that of any program built by the same release. Folder layouts
// holds them, a file for each release, made of a small program's debug information by layouts/main.go: go generate ./symbols.
//
// A file also says where the runtime's code refers to its variables: the same code is in every program that a release builds.
//
//go:generate go run ./layouts
//go:embed layouts/*.json.gz
var layoutFiles embed.FS

// LayoutTable is what one minor release of Go says of its runtime.
type LayoutTable struct {
	Go    string // the release that it was made with: go1.26.1
	Types []LayoutType
	Vars  []LayoutVar
	Funcs []string // that LayoutVar.Refs count in
}

// LayoutType is a type. Other types are numbers in LayoutTable.Types, from 1; 0 is none.
type LayoutType struct {
	Name      string        `json:"n"`
	Kind      int           `json:"k"`
	Size      int64         `json:"s,omitempty"`
	Elem      int           `json:"e,omitempty"`
	Key       int           `json:"y,omitempty"`
	Repr      int           `json:"r,omitempty"`
	Len       int64         `json:"l,omitempty"`
	Fields    []LayoutField `json:"f,omitempty"`
	Constants []LayoutConst `json:"c,omitempty"`
}

// LayoutField is a field of a struct.
type LayoutField struct {
	Name     string `json:"n"`
	Offset   int64  `json:"o,omitempty"`
	Type     int    `json:"t"`
	Embedded bool   `json:"e,omitempty"`
}

// LayoutConst is a named constant of a type.
type LayoutConst struct {
	Name  string `json:"n"`
	Value int64  `json:"v"`
}

// LayoutVar is a package variable, and where code refers to it: number of the function in LayoutTable.Funcs, offset of the
// instruction in it, and what is added to the variable's address there.
type LayoutVar struct {
	Name string     `json:"n"`
	Type int        `json:"t"`
	Refs [][3]int64 `json:"r"`
}

// minorRelease finds the minor release in a version: 27 in "go1.27.3", "go1.27rc1", "go1.27-devel_0123abcd" and "devel go1.27-0123abcd".
func minorRelease(version string) (minor int, ok bool) {
	_, rest, ok := strings.Cut(version, "go1.")
	if !ok {
		return 0, false
	}
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	minor, err := strconv.Atoi(rest[:end])
	return minor, err == nil
}

// knownReleases are the first and the last minor release of which there is a table: those that ri is tested with.
var knownReleases = sync.OnceValues(func() (first, last int) {
	all, _ := fs.Glob(layoutFiles, "layouts/*.json.gz")
	for _, file := range all {
		minor, ok := minorRelease(file)
		if !ok {
			continue
		}
		if first == 0 || minor < first {
			first = minor
		}
		last = max(last, minor)
	}
	return first, last
})

// KnownReleases names the releases of Go that ri is tested with: "1.20 to 1.27".
func KnownReleases() string {
	first, last := knownReleases()
	return fmt.Sprintf("1.%d to 1.%d", first, last)
}

// ReleaseNote says in words that ri has not been tried on programs of a release of Go; "" where it has, or where the release isn't known.
// A program isn't refused for that: what ri needs of it is looked for by the names of fields, and what it lacks is said.
func ReleaseNote(version string) string {
	minor, ok := minorRelease(version)
	if first, last := knownReleases(); !ok || minor >= first && minor <= last {
		return ""
	}
	return fmt.Sprintf("%s is a release that ri has not been tried on (it knows Go %s): what fits is read, but look twice at what it says", version, KnownReleases())
}

// fits is the share of a table's variables that a program of another release must have, as its code says. Programs of the table's own
// release have 97 %, those of the next 80 % at most (Go 1.20 to 1.27).
const fits = 0.9

// readLayouts gives the table for a release, or the one of the nearest release, which must prove that it fits (see loadRuntime).
func readLayouts(version string) (t *LayoutTable, own bool, err error) {
	if base, experiments, odd := strings.Cut(version, " X:"); odd {
		return nil, false, fmt.Errorf("it was built by %s with experiments (%s), whose runtime's layouts ri doesn't know", base, strings.TrimSpace(experiments))
	}
	minor, ok := minorRelease(version)
	if !ok {
		return nil, false, fmt.Errorf("its release of Go is not known (%q)", version)
	}
	first, last := knownReleases()
	table := min(max(minor, first), last)
	file, err := layoutFiles.Open(fmt.Sprintf("layouts/go1.%d.json.gz", table))
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		return nil, false, err
	}
	t = &LayoutTable{}
	if err := json.NewDecoder(io.LimitReader(z, 1<<26)).Decode(t); err != nil {
		return nil, false, err
	}
	return t, table == minor, nil
}

// types makes the table's types for a file.
func (t *LayoutTable) types(f *File) []*Type {
	all := make([]*Type, len(t.Types))
	for i := range t.Types {
		lt := &t.Types[i]
		all[i] = f.NewType(lt.Name, reflect.Kind(lt.Kind), lt.Size)
	}
	at := func(n int) *Type {
		if n <= 0 || n > len(all) {
			return nil
		}
		return all[n-1]
	}
	for i := range t.Types {
		lt := &t.Types[i]
		p := Parts{Elem: at(lt.Elem), Key: at(lt.Key), Repr: at(lt.Repr), Len: lt.Len}
		for _, fd := range lt.Fields {
			if ft := at(fd.Type); ft != nil {
				p.Fields = append(p.Fields, Field{Name: fd.Name, Offset: fd.Offset, Type: ft, Embedded: fd.Embedded})
			}
		}
		all[i].Complete(p)
		for _, c := range lt.Constants {
			all[i].consts = append(all[i].consts, constant{c.Name, c.Value})
		}
	}
	return all
}

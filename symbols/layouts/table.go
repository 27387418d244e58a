// Package layouts has the layouts of the runtime of each release of Go that ri knows. The runtime of a program without
// debug information has the same as that of any program built by the same release. They are in files, one for each
// minor release, made of a small program's debug information: go generate ./symbols/layouts.
//
// A file also says where the runtime's code refers to its variables: the same code is in every program that a release
// builds.
//
// What may not come in: executables; package symbols reads those by a table.
package layouts

import (
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync"
)

//go:generate go run ./generate
//go:embed *.json.gz
var files embed.FS

// Table is what one minor release of Go says of its runtime.
type Table struct {
	Go    string // the release that it was made with: go1.26.1
	Types []Type
	Vars  []Var
	Funcs []string // that Var.Refs count in
}

// Type is a type. Other types are numbers in Table.Types, from 1; 0 is none.
type Type struct {
	Name      string  `json:"n"`
	Kind      int     `json:"k"`
	Size      int64   `json:"s,omitempty"`
	Elem      int     `json:"e,omitempty"`
	Key       int     `json:"y,omitempty"`
	Repr      int     `json:"r,omitempty"`
	Len       int64   `json:"l,omitempty"`
	Fields    []Field `json:"f,omitempty"`
	Constants []Const `json:"c,omitempty"`
}

// Field is a field of a struct.
type Field struct {
	Name     string `json:"n"`
	Offset   int64  `json:"o,omitempty"`
	Type     int    `json:"t"`
	Embedded bool   `json:"e,omitempty"`
}

// Const is a named constant of a type.
type Const struct {
	Name  string `json:"n"`
	Value int64  `json:"v"`
}

// Var is a package variable, and where code refers to it. A reference is the number of the function in Table.Funcs, the
// offset of the instruction in it, and what is added to the variable's address there.
type Var struct {
	Name string     `json:"n"`
	Type int        `json:"t"`
	Refs [][3]int64 `json:"r"`
}

// minorRelease finds the minor release in a version: 27 in "go1.27.3", "go1.27rc1", "go1.27-devel_0123abcd" and "devel
// go1.27-0123abcd".
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
	all, _ := fs.Glob(files, "*.json.gz")
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

// ReleaseNote says in words that ri has not been tried on programs of a release of Go. It is "" where it has, or where
// the release isn't known. A program isn't refused for that: what ri needs of it is looked for by the names of fields,
// and what it lacks is said.
func ReleaseNote(version string) string {
	minor, ok := minorRelease(version)
	if first, last := knownReleases(); !ok || minor >= first && minor <= last {
		return ""
	}
	return fmt.Sprintf("%s is a release that ri has not been tried on (it knows Go %s): what fits is read, but look "+
		"twice at what it says", version, KnownReleases())
}

// Fits is the share of a table's variables that a program of another release must have, as its code says. Programs of
// the table's own release have 97 %, those of the next 80 % at most (Go 1.20 to 1.27).
const Fits = 0.9

// Read gives the table for a release, or the one of the nearest release, which must prove that it does (see Fits).
func Read(version string) (t *Table, own bool, err error) {
	if base, experiments, odd := strings.Cut(version, " X:"); odd {
		return nil, false, fmt.Errorf("it was built by %s with experiments (%s), whose runtime's layouts ri doesn't "+
			"know", base, strings.TrimSpace(experiments))
	}
	minor, ok := minorRelease(version)
	if !ok {
		return nil, false, fmt.Errorf("its release of Go is not known (%q)", version)
	}
	first, last := knownReleases()
	table := min(max(minor, first), last)
	file, err := files.Open(fmt.Sprintf("go1.%d.json.gz", table))
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		return nil, false, err
	}
	t = &Table{}
	if err := json.NewDecoder(io.LimitReader(z, 1<<26)).Decode(t); err != nil {
		return nil, false, err
	}
	return t, table == minor, nil
}

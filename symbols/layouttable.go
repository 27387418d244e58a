package symbols

import (
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"strings"
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

// layoutName is the name of the table for a release: "go1.26" for "go1.26.1". Releases built with experiments of their own have none.
func layoutName(version string) (string, error) {
	base, experiments, odd := strings.Cut(version, " ")
	if odd {
		return "", fmt.Errorf("it was built by %s with experiments (%s), whose runtime's layouts ri doesn't know", base, strings.TrimSpace(experiments))
	}
	parts := strings.SplitN(base, ".", 3)
	if len(parts) < 2 {
		return "", fmt.Errorf("its release of Go is not known (%q)", version)
	}
	minor := parts[1]
	for i, c := range minor { // go1.27rc1
		if c < '0' || c > '9' {
			minor = minor[:i]
			break
		}
	}
	return parts[0] + "." + minor, nil
}

// readLayouts gives the table for a release.
func readLayouts(version string) (*LayoutTable, error) {
	name, err := layoutName(version)
	if err != nil {
		return nil, err
	}
	file, err := layoutFiles.Open("layouts/" + name + ".json.gz")
	if err != nil {
		var known []string
		all, _ := fs.Glob(layoutFiles, "layouts/*.json.gz")
		for _, f := range all {
			known = append(known, strings.TrimSuffix(strings.TrimPrefix(f, "layouts/"), ".json.gz"))
		}
		return nil, fmt.Errorf("it was built by %s, and ri knows the runtime's layouts of %s", version, strings.Join(known, ", "))
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	var t LayoutTable
	if err := json.NewDecoder(io.LimitReader(z, 1<<26)).Decode(&t); err != nil {
		return nil, err
	}
	return &t, nil
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

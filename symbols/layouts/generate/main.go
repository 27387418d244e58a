// Generate writes the tables of runtime layouts from which stripped programs are read: go generate ./symbols/layouts.
// It builds program with one toolchain of each minor release (they come through the module proxy) and reads its debug
// information.
package main

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"sort"
	"strings"

	"ri/symbols"
	"ri/symbols/layouts"
)

// releases are those that the tables are made with, a late one of each minor release.
var releases = []string{"go1.19.13", "go1.20.14", "go1.21.13", "go1.22.5", "go1.23.12", "go1.24.6", "go1.25.3",
	"go1.26.8", "go1.27.3"}

// packages are those whose types are kept, all others only as parts of them.
var packages = []string{"runtime.", "internal/runtime/", "internal/abi.", "sync.", "internal/sync.", "sync/atomic.",
	"internal/poll.", "time.", "runtime/pprof."}

// maxRefs is how many places that refer to a variable are kept.
const maxRefs = 12

func main() {
	only := flag.String("only", "", "make the table of this release only")
	check := flag.Bool("check", false,
		"write nothing; say what in the tables a release of the same minor doesn't agree with")
	flag.Parse()
	list := releases
	if *only != "" {
		list = []string{*only}
	}
	for _, release := range list {
		if err := write(release, *check); err != nil {
			fmt.Fprintln(os.Stderr, release+":", err)
			os.Exit(1)
		}
	}
}

// folder is where the tables lie, whether it is run by go generate or from the module's root.
func folder() string {
	if _, err := os.Stat("generate/program"); err == nil {
		return "."
	}
	return "symbols/layouts"
}

func write(release string, check bool) error {
	dir, err := os.MkdirTemp("", "layouts")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	exe := filepath.Join(dir, "program")
	build := exec.Command("go", "build", "-o", exe, "main.go") // a file, as Go 1.19 takes
	build.Dir = filepath.Join(folder(), "generate/program")
	build.Env = append(os.Environ(), "GOTOOLCHAIN="+release, "CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1",
		"GOARCH=amd64", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the program: %v\n%s", err, out)
	}
	r, err := os.Open(exe)
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := symbols.Open(r, "program")
	if err != nil {
		return err
	}
	g := &generator{file: f, numbers: map[*symbols.Type]int{}, funcs: map[string]int{}}
	if g.elf, err = elf.NewFile(r); err != nil {
		return err
	}
	g.table.Go = f.GoVersion()
	g.types()
	g.vars()
	parts := strings.SplitN(f.GoVersion(), ".", 3)
	path := filepath.Join(folder(), parts[0]+"."+parts[1]+".json.gz")
	if check {
		return compare(path, &g.table)
	}
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err := json.NewEncoder(z).Encode(&g.table); err != nil {
		return err
	}
	z.Close()
	fmt.Printf("%s: %s, %d types, %d variables, %d bytes\n", path, g.table.Go, len(g.table.Types), len(g.table.Vars),
		out.Len())
	return os.WriteFile(path, out.Bytes(), 0o644)
}

type generator struct {
	file    *symbols.File
	elf     *elf.File
	table   layouts.Table
	numbers map[*symbols.Type]int
	funcs   map[string]int
}

func wanted(name string) bool {
	name = strings.TrimLeft(name, "*[]")
	for _, p := range packages {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

func (g *generator) types() {
	names := g.file.TypeNames()
	sort.Strings(names)
	for _, name := range names {
		if t, err := g.file.Type(name); err == nil && wanted(name) {
			g.number(t)
		}
	}
	for _, name := range []string{"error", "interface {}", "string", "[]uint8", "[]string", "[]int", "unsafe.Pointer",
		"uintptr"} {
		if t, err := g.file.Type(name); err == nil {
			g.number(t)
		}
	}
}

// number adds a type and all that it consists of, and gives its number.
func (g *generator) number(t *symbols.Type) int {
	if t == nil {
		return 0
	}
	if n := g.numbers[t]; n != 0 {
		return n
	}
	n := len(g.table.Types) + 1
	g.numbers[t] = n
	g.table.Types = append(g.table.Types, layouts.Type{})
	lt := layouts.Type{Name: t.Name, Kind: int(t.Kind), Size: t.Size, Len: t.Len()}
	lt.Elem, lt.Key, lt.Repr = g.number(t.Elem()), g.number(t.Key()), g.number(t.Repr())
	if t.Kind == reflect.Struct {
		for _, f := range t.Fields() {
			lt.Fields = append(lt.Fields, layouts.Field{Name: f.Name, Offset: f.Offset, Type: g.number(f.Type),
				Embedded: f.Embedded})
		}
	}
	for _, name := range t.Constants() {
		if v, ok := t.ConstantValue(name); ok {
			lt.Constants = append(lt.Constants, layouts.Const{Name: name, Value: v})
		}
	}
	g.table.Types[n-1] = lt
	return n
}

// vars finds where code of the runtime refers to its variables.
func (g *generator) vars() {
	type variable struct {
		symbols.Var
		refs [][3]int64
	}
	var vars []*variable
	for _, v := range g.file.AllVars() {
		if (strings.HasPrefix(v.Name, "runtime.") || strings.HasPrefix(v.Name, "internal/runtime/")) &&
			v.Type.Size > 0 {
			vars = append(vars, &variable{Var: v})
		}
	}
	sort.Slice(vars, func(i, j int) bool { return vars[i].Addr < vars[j].Addr })
	symbols.References(g.file, func(function string, at int, target uint64) {
		i := sort.Search(len(vars), func(i int) bool { return vars[i].Addr > target }) - 1
		if i < 0 || target-vars[i].Addr >= uint64(vars[i].Type.Size) {
			return
		}
		v := vars[i]
		same := 0
		for _, r := range v.refs {
			if g.table.Funcs[r[0]] == function {
				same++
			}
		}
		if len(v.refs) >= maxRefs || same >= 2 {
			return
		}
		n, ok := g.funcs[function]
		if !ok {
			n = len(g.table.Funcs)
			g.funcs[function] = n
			g.table.Funcs = append(g.table.Funcs, function)
		}
		v.refs = append(v.refs, [3]int64{int64(n), int64(at), int64(target - v.Addr)})
	})
	for _, v := range vars {
		if len(v.refs) >= 2 {
			g.table.Vars = append(g.table.Vars, layouts.Var{Name: v.Name, Type: g.number(v.Type), Refs: v.refs})
		}
	}
	sort.Slice(g.table.Vars, func(i, j int) bool { return g.table.Vars[i].Name < g.table.Vars[j].Name })
}

// compare says which types of the packages that matter have another layout than the table has.
func compare(path string, with *layouts.Table) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	var have layouts.Table
	if err := json.NewDecoder(z).Decode(&have); err != nil && err != io.EOF {
		return err
	}
	text := func(t *layouts.Table, lt *layouts.Type) string {
		var b strings.Builder
		fmt.Fprint(&b, lt.Kind, lt.Size, lt.Len)
		for _, f := range lt.Fields {
			fmt.Fprint(&b, " ", f.Name, f.Offset, t.Types[f.Type-1].Name)
		}
		return b.String()
	}
	old := map[string]string{}
	for i := range have.Types {
		old[have.Types[i].Name] = text(&have, &have.Types[i])
	}
	differ := 0
	for i := range with.Types {
		lt := &with.Types[i]
		if was, ok := old[lt.Name]; ok && wanted(lt.Name) && was != text(with, lt) {
			differ++
			fmt.Printf("%s differs between %s and %s:\n  %s\n  %s\n", lt.Name, have.Go, with.Go, was, text(with, lt))
		}
	}
	fmt.Printf("%s and %s: %d types differ\n", have.Go, with.Go, differ)
	return nil
}

package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/token"
	"go/types"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"ri/record/boundary"
)

// Errors that callers test for.
var (
	// ErrLibrary: the library isn't there, or isn't the one that was recorded.
	ErrLibrary = errors.New("not the library that was recorded")
)

// Test is a test that was made.
type Test struct {
	Package string            // import path of the library's package
	Dir     string            // its folder
	Name    string            // of the test
	Files   map[string][]byte // the source, by the file's name
	Notes   []string          // what could not be made as it was
	Calls   int64             // that come in

	main   string           // folder of the module that it is loaded from
	module *packages.Module // that has the package
}

// testName is the test's.
const testName = "TestRiReplay"

// Generate makes the test of a recording for the library in a module's folder. Nothing is written. Errors: ErrLibrary,
// those of package calls, of the go command.
func Generate(ctx context.Context, path, dir string) (*Test, error) {
	w, err := read(path)
	if err != nil {
		return nil, err
	}
	if len(w.header.Boundary.In) == 0 {
		return nil, fmt.Errorf("%s: nothing comes in at its boundary: %w", path, ErrLibrary)
	}
	g := &generator{wanted: w, pkg: boundary.PackageOf(w.header.Boundary.In[0].Name), imports: map[string]string{},
		names: map[string]string{}, out: &Test{Name: testName}}
	if err := g.load(ctx, dir); err != nil {
		return nil, err
	}
	if err := g.source(filepath.Base(path), goVersion(ctx, dir)); err != nil {
		return nil, err
	}
	return g.out, nil
}

// goVersion tells whether the module's Go has bubbles with a time of their own: testing/synctest, Go 1.25.
func goVersion(ctx context.Context, dir string) bool {
	cmd := exec.CommandContext(ctx, "go", "list", "-f", "{{.Standard}}", "testing/synctest")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil || strings.TrimSpace(string(out)) != "true" {
		return false
	}
	cmd = exec.CommandContext(ctx, "go", "env", "GOVERSION")
	cmd.Dir = dir
	out, err = cmd.Output()
	var minor int
	_, scan := fmt.Sscanf(strings.TrimSpace(string(out)), "go1.%d", &minor)
	return err == nil && scan == nil && minor >= 25
}

type generator struct {
	*wanted
	pkg      string
	packages map[string]*types.Package
	own      *types.Package
	imports  map[string]string // name by path
	names    map[string]string // path by name
	out      *Test
	fakes    []fake
}

type fake struct {
	name  string
	iface types.Type
}

func (g *generator) note(text string, args ...any) {
	g.out.Notes = append(g.out.Notes, fmt.Sprintf(text, args...))
}

// load loads the library's package and those that the recording names.
func (g *generator) load(ctx context.Context, dir string) error {
	cfg := &packages.Config{Context: ctx, Dir: dir, Mode: packages.NeedName | packages.NeedTypes | packages.NeedImports |
		packages.NeedDeps | packages.NeedFiles | packages.NeedModule}
	list, err := packages.Load(cfg, g.pkg)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if len(list) != 1 || list[0].Types == nil || len(list[0].GoFiles) == 0 {
		return fmt.Errorf("%s has no package %s: %w", dir, g.pkg, ErrLibrary)
	}
	if len(list[0].Errors) > 0 {
		return fmt.Errorf("%s: package %s: %v", dir, g.pkg, list[0].Errors[0])
	}
	if list[0].Module == nil {
		return fmt.Errorf("%s is a package of Go itself, and no library of %s: %w", g.pkg, dir, ErrLibrary)
	}
	g.own, g.out.Package, g.out.Dir = list[0].Types, g.pkg, filepath.Dir(list[0].GoFiles[0])
	g.out.main, g.out.module = dir, list[0].Module
	g.packages = map[string]*types.Package{}
	packages.Visit(list, nil, func(p *packages.Package) {
		if p.Types != nil {
			g.packages[p.PkgPath] = p.Types
		}
	})
	return nil
}

// object finds an object by its full name, if the test may name it.
func (g *generator) object(full string) types.Object {
	pkg, receiver, name := boundary.Parts(full)
	p := g.packages[pkg]
	if p == nil || receiver != "" {
		return nil
	}
	o := p.Scope().Lookup(name)
	if o == nil || p != g.own && !o.Exported() || p != g.own && !g.mayImport(pkg) {
		return nil
	}
	return o
}

// mayImport tells whether the library's package may import another.
func (g *generator) mayImport(path string) bool {
	if path == "main" {
		return false
	}
	if i := strings.LastIndex(path, "/internal/"); i >= 0 {
		return strings.HasPrefix(g.pkg+"/", path[:i]+"/")
	}
	if i, ok := strings.CutSuffix(path, "/internal"); ok {
		return strings.HasPrefix(g.pkg+"/", i+"/")
	}
	return !strings.HasPrefix(path, "internal/") && !strings.Contains(path, "vendor/")
}

// qualifier names a package in the source, and has it imported.
func (g *generator) qualifier(p *types.Package) string {
	if p == g.own {
		return ""
	}
	if name, ok := g.imports[p.Path()]; ok {
		return name
	}
	name := p.Name()
	for i := 2; g.names[name] != "" || token.IsKeyword(name) || g.own.Scope().Lookup(name) != nil; i++ {
		name = fmt.Sprintf("%s%d", p.Name(), i)
	}
	g.imports[p.Path()], g.names[name] = name, p.Path()
	return name
}

func (g *generator) typeText(t types.Type) string { return types.TypeString(t, g.qualifier) }

// function is the expression of a function, or of a method as a function; "" with why if there is none.
func (g *generator) function(full string) (expr, why string) {
	pkg, receiver, name := boundary.Parts(full)
	if strings.Contains(full, "[") {
		return "", "it is generic"
	}
	if receiver == "" {
		if o, ok := g.object(full).(*types.Func); ok {
			return g.qualified(o), ""
		}
		return "", "the library has no such function"
	}
	o, ok := g.object(pkg + "." + receiver).(*types.TypeName)
	if !ok {
		return "", "the library has no type " + receiver
	}
	pointer := strings.Contains(full, ".(*")
	t := o.Type()
	if pointer {
		t = types.NewPointer(t)
	}
	m, _, _ := types.LookupFieldOrMethod(t, false, g.own, name)
	if _, ok := m.(*types.Func); !ok {
		return "", receiver + " has no such method"
	}
	if pointer {
		return fmt.Sprintf("(*%s).%s", g.qualified(o), m.Name()), ""
	}
	return fmt.Sprintf("%s.%s", g.qualified(o), m.Name()), ""
}

func (g *generator) qualified(o types.Object) string {
	if q := g.qualifier(o.Pkg()); q != "" {
		return q + "." + o.Name()
	}
	return o.Name()
}

// interfaces are those whose methods may be called by the library.
func (g *generator) interfaces() {
	seen := map[types.Object]bool{}
	add := func(o types.Object) {
		name, ok := o.(*types.TypeName)
		if !ok || seen[o] {
			return
		}
		seen[o] = true
		iface, ok := name.Type().Underlying().(*types.Interface)
		if !ok || iface.NumMethods() == 0 || name.Name() == "error" && name.Pkg() == nil {
			return
		}
		if named, ok := name.Type().(*types.Named); ok && named.TypeParams().Len() > 0 {
			g.note("%s is generic: nothing stands in for it", name.Name())
			return
		}
		for m := range iface.Methods() {
			if !m.Exported() && m.Pkg() != g.own {
				g.note("%s has a method that only its own package can have: nothing stands in for it", name.Name())
				return
			}
		}
		g.fakes = append(g.fakes, fake{fmt.Sprintf("riFake%d", len(g.fakes)+1), name.Type()})
	}
	for _, f := range g.header.Boundary.Out {
		if f.Interface != "" {
			if o := g.object(f.Interface); o != nil {
				add(o)
			} else {
				g.note("%s isn't in the library's source: nothing stands in for it", f.Interface)
			}
		}
	}
	for _, f := range g.header.Boundary.In {
		pkg, receiver, _ := boundary.Parts(f.Name)
		if o, ok := g.object(pkg + "." + receiver).(*types.TypeName); ok {
			if s, ok := o.Type().Underlying().(*types.Struct); ok {
				for field := range s.Fields() {
					if named, ok := types.Unalias(field.Type()).(*types.Named); ok {
						if o := named.Obj(); o.Pkg() != nil && g.object(o.Pkg().Path()+"."+o.Name()) == o {
							add(o)
						}
					}
				}
			}
		}
	}
}

// source writes the test.
func (g *generator) source(data string, bubbles bool) error {
	g.interfaces()
	var body bytes.Buffer
	g.functions(&body)
	g.tables(&body)
	for _, f := range g.fakes {
		g.fake(&body, f)
	}
	var out bytes.Buffer
	out.WriteString(generatedText)
	fmt.Fprintf(&out, "package %s\n\nimport (\n\t\"os\"\n\t\"reflect\"\n\t\"testing\"\n", g.own.Name())
	if bubbles {
		out.WriteString("\t\"testing/synctest\"\n")
	}
	for _, path := range slices.Sorted(maps.Keys(g.imports)) {
		fmt.Fprintf(&out, "\t%s %q\n", g.imports[path], path)
	}
	out.WriteString(")\n\n")
	fmt.Fprintf(&out, "// %s makes the calls of a recording again.\nfunc %s(t *testing.T) {\n", testName, testName)
	fmt.Fprintf(&out, "\tpath := os.Getenv(\"RI_REPLAY\")\n\tif path == \"\" {\n\t\tpath = %q\n\t}\n",
		"testdata/"+dataName(data))
	bubble, wait := "func(t *testing.T, f func(*testing.T)) { f(t) }", "nil"
	if bubbles {
		bubble, wait = "synctest.Test", "synctest.Wait"
	}
	fmt.Fprintf(&out, "\triRun(t, path, riLibrary(), riFunctions(), riSetup, %s, %s)\n}\n\n", bubble, wait)
	out.WriteString(setupText)
	out.WriteString("var _ = reflect.TypeFor[int]\n\n")
	out.Write(body.Bytes())
	taken := func(name string) bool { return g.own.Scope().Lookup(name) != nil }
	text, err := beside(out.Bytes(), taken)
	if err != nil {
		return fmt.Errorf("the test for %s: %w", g.pkg, err)
	}
	kit, err := kitSource(g.own.Name(), taken)
	if err != nil {
		return err
	}
	g.out.Files = map[string][]byte{"ri_replay_test.go": text, "ri_replay_kit_test.go": kit}
	return nil
}

// generatedText begins a file. The constraint gives it a Go of its own: the library's module may be older.
const generatedText = "// Code generated by ri replay generate. DO NOT EDIT.\n\n//go:build go1.22\n\n"

const setupText = `// riSetup finishes a receiver of a type, by its full name, where a recording can't have all of
// it: set it in an init function of another file.
var riSetup = map[string]func(any) any{}

`

// dataName is the recording's name beside the test: letters, digits, dots and hyphens.
func dataName(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_", r) {
			return r
		}
		return '-'
	}, name)
	return strings.TrimLeft(clean, ".-")
}

// functions writes the table of those that come in.
func (g *generator) functions(b *bytes.Buffer) {
	b.WriteString("// riFunctions are those that come in.\n" +
		"func riFunctions() map[string]any {\n\treturn map[string]any{\n")
	for _, f := range g.header.Boundary.In {
		expr, why := "", "it isn't the library's"
		if g.isLibrary(boundary.PackageOf(f.Name)) {
			expr, why = g.function(f.Name)
		}
		if expr == "" {
			if g.calls[f.Name] > 0 {
				g.note("the library has changed: %s: %s", f.Name, why)
			}
			continue
		}
		g.out.Calls += g.calls[f.Name]
		fmt.Fprintf(b, "\t\t%q: %s,\n", g.fullName(f.Name), expr)
	}
	b.WriteString("\t}\n}\n\n")
}

// isLibrary tells whether a package is of the library's module. A recording from elsewhere has nothing else called: it
// could name what removes files.
func (g *generator) isLibrary(pkg string) bool {
	return pkg == g.out.module.Path || strings.HasPrefix(pkg, g.out.module.Path+"/")
}

// fullName is a function's name, put together again from its parts: each is a name that the library's source has.
func (g *generator) fullName(recorded string) string {
	pkg, receiver, name := boundary.Parts(recorded)
	if receiver == "" {
		return pkg + "." + name
	}
	if strings.Contains(recorded, ".(*") {
		return fmt.Sprintf("%s.(*%s).%s", pkg, receiver, name)
	}
	return fmt.Sprintf("%s.%s.%s", pkg, receiver, name)
}

// tables writes what names of a recording may stand for.
func (g *generator) tables(b *bytes.Buffer) {
	b.WriteString("// riLibrary is what names in the recording may stand for.\n" +
		"func riLibrary() *riTypes {\n\treturn &riTypes{\n")
	b.WriteString("\t\ttypes: map[string]reflect.Type{\n")
	done := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(g.types)) {
		name = strings.TrimLeft(name, "*[]")
		o, ok := g.object(name).(*types.TypeName)
		if !ok || done[name] {
			continue
		}
		if named, ok := o.Type().(*types.Named); ok && named.TypeParams().Len() > 0 {
			continue
		}
		done[name] = true
		fmt.Fprintf(b, "\t\t\t%q: reflect.TypeFor[%s](),\n", o.Pkg().Path()+"."+o.Name(), g.qualified(o))
	}
	b.WriteString("\t\t},\n\t\tfakes: map[reflect.Type]func(*riReplay, int) any{\n")
	for _, f := range g.fakes {
		fmt.Fprintf(b, "\t\t\treflect.TypeFor[%s](): func(r *riReplay, on int) any { return &%s{r, on} },\n",
			g.typeText(f.iface), f.name)
	}
	b.WriteString("\t\t},\n\t\tvars: map[string]any{\n")
	for _, name := range slices.Sorted(maps.Keys(g.vars)) {
		if o, ok := g.object(name).(*types.Var); ok {
			fmt.Fprintf(b, "\t\t\t%q: %s,\n", o.Pkg().Path()+"."+o.Name(), g.qualified(o))
		}
	}
	b.WriteString("\t\t},\n\t}\n}\n\n")
}

// fake writes what stands in for an interface.
func (g *generator) fake(b *bytes.Buffer, f fake) {
	recorded := map[string]bool{}
	full := f.iface.(*types.Named).Obj()
	for _, out := range g.header.Boundary.Out {
		if out.Interface == full.Pkg().Path()+"."+full.Name() {
			recorded[out.Name[strings.LastIndexByte(out.Name, '.')+1:]] = true
		}
	}
	fmt.Fprintf(b, "// %s stands in for a %s.\ntype %s struct {\n\tr  *riReplay\n\ton int\n}\n\n", f.name,
		g.typeText(f.iface), f.name)
	iface := f.iface.Underlying().(*types.Interface)
	for m := range iface.Methods() {
		sig := m.Type().(*types.Signature)
		var params, args, results, pointers []string
		for i := range sig.Params().Len() {
			t := g.typeText(sig.Params().At(i).Type())
			if sig.Variadic() && i == sig.Params().Len()-1 {
				t = "..." + strings.TrimPrefix(t, "[]")
			}
			params = append(params, fmt.Sprintf("a%d %s", i, t))
			args = append(args, fmt.Sprintf("a%d", i))
		}
		for i := range sig.Results().Len() {
			results = append(results, fmt.Sprintf("r%d %s", i, g.typeText(sig.Results().At(i).Type())))
			pointers = append(pointers, fmt.Sprintf(", &r%d", i))
		}
		fmt.Fprintf(b, "func (f *%s) %s(%s) (%s) {\n", f.name, m.Name(), strings.Join(params, ", "),
			strings.Join(results, ", "))
		if recorded[m.Name()] {
			fmt.Fprintf(b, "\tf.r.goesOut(%q, f.on, []any{%s}%s)\n", m.Name(), strings.Join(args, ", "),
				strings.Join(pointers, ""))
		} else {
			b.WriteString("\tf.r.passes()\n")
		}
		b.WriteString("\treturn\n}\n\n")
	}
}

// Write writes the test and its data into the library's folder. What is there under these names is replaced.
func (t *Test) Write(recording string) (paths []string, err error) {
	data, err := os.ReadFile(recording)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(t.Dir, "testdata", dataName(filepath.Base(recording)))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		return nil, err
	}
	paths = append(paths, name)
	for _, file := range slices.Sorted(maps.Keys(t.Files)) {
		path := filepath.Join(t.Dir, file)
		if err := os.WriteFile(path, t.Files[file], 0o644); err != nil {
			return paths, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// Package boundary works out where calls go into a library of a program, and out of it: of a type its exported methods
// and the methods of its interface fields, of a package its exported functions and methods and the methods of its
// interfaces.
//
// What may not come in: processes, BPF, files.
package boundary

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"ri/probe/place"
	"ri/record/redact"
	"ri/symbols"
)

// Boundary is what goes in and out.
type Boundary struct {
	Of     []string // as it was asked for
	In     []Method
	Out    []Method
	Missed []Missed
	// Types are those whose methods are called from outside, by full name.
	Types    []string
	packages []string // that are inside
	module   string   // that has them
}

// Method is a function or method at the boundary.
type Method struct {
	Func      string // as Go prints it
	Receiver  bool
	Interface string // of Out: the interface that it is called through, full name
	Field     string // of Out: the field that holds it, if one does
	Callback  bool   // of Out: the library is given it, as a function
}

// Missed is what can't be recorded, or is left out.
type Missed struct{ What, Why string }

// Options adjust what is worked out.
type Options struct {
	Also []string // functions, methods and interfaces' methods that go out, too
	Not  []string // patterns of functions that are left out; a star stands for any text
}

// mostImplementations is how many types may implement an interface of which each method is followed: what more types
// implement, such as io.Reader, is everybody's.
const mostImplementations = 24

// Of works a boundary out. Errors: symbols.ErrNotFound, symbols.ErrAmbiguous, place.ErrNoPlace.
func Of(f *symbols.File, of []string, opt Options) (*Boundary, error) {
	b := &Boundary{Of: of}
	w := worker{f: f, b: b, not: opt.Not}
	for _, name := range of {
		if err := w.add(name); err != nil {
			return nil, err
		}
	}
	w.callbacks()
	for _, name := range opt.Also {
		if err := w.out(name, "", ""); err != nil {
			return nil, err
		}
	}
	return b, nil
}

type worker struct {
	f   *symbols.File
	b   *Boundary
	not []string
}

// add takes a type, a package, or functions.
func (w *worker) add(name string) error {
	if t, err := w.f.Type(strings.TrimPrefix(name, "*")); err == nil {
		return w.named(t)
	}
	switch pkgs := w.packagesOf(name); len(pkgs) {
	case 0:
	case 1:
		return w.pkg(pkgs[0])
	default:
		return fmt.Errorf("%q may be of these packages: %s: %w", name, strings.Join(pkgs, ", "), symbols.ErrAmbiguous)
	}
	found, err := place.Find(w.f, name)
	if err != nil {
		return fmt.Errorf("%q is no type, package or function of the program: %w", name, err)
	}
	w.take(found, func(fn string) { w.in(fn) })
	return nil
}

// packagesOf are the packages that a name may stand for: an import path, its end, or the package's own name.
func (w *worker) packagesOf(name string) (out []string) {
	for _, path := range w.f.Packages() {
		own, _ := w.f.PackageName(path)
		switch {
		case path == name:
			return []string{path}
		case strings.HasSuffix(path, "/"+name) || own == name:
			out = append(out, path)
		}
	}
	return out
}

// take takes what was found, and says what is refused.
func (w *worker) take(found *place.Found, each func(fn string)) {
	for _, fn := range found.Functions {
		each(fn.Name)
	}
	for _, r := range found.Refused {
		w.miss(r.Func, r.Why)
	}
}

func (w *worker) miss(what, why string) {
	if m := (Missed{what, why}); !slices.Contains(w.b.Missed, m) {
		w.b.Missed = append(w.b.Missed, m)
	}
}

func (w *worker) inside(pkg string) {
	if pkg != "" && !slices.Contains(w.b.packages, pkg) {
		w.b.packages = append(w.b.packages, pkg)
		w.b.module = w.moduleOf()
	}
}

// in takes a function that is called from outside.
func (w *worker) in(fn string) {
	if w.left(fn) || slices.ContainsFunc(w.b.In, func(m Method) bool { return m.Func == fn }) {
		return
	}
	w.inside(PackageOf(fn))
	_, receiver, _ := Parts(fn)
	w.b.In = append(w.b.In, Method{Func: fn, Receiver: receiver != ""})
}

// left tells whether a person leaves a function out.
func (w *worker) left(fn string) bool {
	return slices.ContainsFunc(w.not, func(pattern string) bool {
		return Fits(pattern, fn) || Fits(pattern, w.f.ShortName(fn))
	})
}

// named takes a type: a struct, an interface, or anything with methods.
func (w *worker) named(t *symbols.Type) error {
	w.inside(redact.PackageOf(t.Name))
	if t.Kind == reflect.Interface {
		return w.iface(t.Name, func(fn, _ string) { w.in(fn) })
	}
	w.b.Types = append(w.b.Types, t.Name)
	for _, of := range w.promoted(t, nil) {
		w.methods(of)
	}
	if t.Kind == reflect.Struct {
		for _, field := range t.Fields() {
			if field.Type.Kind == reflect.Interface {
				w.through(field.Type, field.Name)
			}
		}
	}
	w.constructors(t, redact.PackageOf(t.Name))
	return nil
}

// promoted are a type and those of its package that it embeds, which give it their methods.
func (w *worker) promoted(t *symbols.Type, out []string) []string {
	if t.Kind == reflect.Pointer && t.Elem() != nil {
		t = t.Elem()
	}
	if slices.Contains(out, t.Name) {
		return out
	}
	out = append(out, t.Name)
	if t.Kind == reflect.Struct {
		for _, f := range t.Fields() {
			if f.Embedded && redact.PackageOf(strings.TrimPrefix(f.Type.Name, "*")) == redact.PackageOf(out[0]) {
				out = w.promoted(f.Type, out)
			}
		}
	}
	return out
}

// methods takes the exported methods of a type.
func (w *worker) methods(typ string) {
	pkg := redact.PackageOf(typ)
	name := strings.TrimPrefix(typ, pkg+".")
	for _, pattern := range []string{pkg + ".(*" + name + ").*", pkg + "." + name + ".*"} {
		found, err := place.Find(w.f, pattern)
		if err != nil {
			continue // it has none of that kind
		}
		w.take(found, func(fn string) {
			if _, receiver, method := Parts(fn); receiver == name && exported(method) {
				w.in(fn)
				w.given(fn)
			}
		})
	}
}

// pkg takes a package: exported functions, exported methods of exported types, and what its interfaces lead to.
func (w *worker) pkg(path string) error {
	w.inside(path)
	found, err := place.Find(w.f, path+".*")
	if err != nil {
		return err
	}
	w.take(found, func(fn string) {
		pkg, receiver, method := Parts(fn)
		if pkg == path && exported(method) && (receiver == "" || exported(receiver)) {
			w.in(fn)
		}
	})
	w.behind(path)
	for _, name := range w.f.TypeNames() {
		if redact.PackageOf(name) != path || !exported(strings.TrimPrefix(name, path+".")) {
			continue
		}
		if t, err := w.f.Type(name); err == nil && t.Kind == reflect.Interface {
			if err := w.out(name, "", ""); err != nil {
				w.miss(name, err.Error())
			}
		}
	}
	return nil
}

// behind takes the methods of types without an exported name that others come to by one that has: a type that embeds
// them, an interface of the package.
func (w *worker) behind(path string) {
	own := func(fn, method string) bool {
		pkg, receiver, name := Parts(fn)
		return pkg == path && !exported(receiver) && name == method
	}
	for _, name := range w.f.TypeNames() {
		if redact.PackageOf(name) != path || !exported(strings.TrimPrefix(name, path+".")) {
			continue
		}
		t, err := w.f.Type(name)
		switch {
		case err != nil:
		case t.Kind == reflect.Struct:
			for _, of := range w.promoted(t, nil)[1:] {
				w.methods(of)
			}
		case t.Kind == reflect.Interface:
			methods, err := w.f.InterfaceMethods(name)
			if err != nil {
				continue
			}
			for _, method := range methods {
				if found, err := place.Find(w.f, name+"."+method); err == nil && exported(method) {
					w.take(found, func(fn string) {
						if own(fn, method) {
							w.in(fn)
						}
					})
				}
			}
		}
	}
}

// out takes the methods of an interface, or a function.
func (w *worker) out(name, iface, field string) error {
	t, err := w.f.Type(name)
	if err != nil || t.Kind != reflect.Interface {
		found, err := place.Find(w.f, name)
		if err != nil {
			return err
		}
		w.take(found, func(fn string) { w.goesOut(fn, iface, field) })
		return nil
	}
	return w.iface(t.Name, func(fn, of string) { w.goesOut(fn, of, field) })
}

func (w *worker) goesOut(fn, iface, field string) {
	if iface != "" && w.isPrivate(iface) && w.b.Inside(fn) {
		return // the library's own, which nobody else has given it
	}
	if w.left(fn) || slices.ContainsFunc(w.b.Out, func(m Method) bool { return m.Func == fn && m.Interface == iface }) {
		return
	}
	_, receiver, _ := Parts(fn)
	w.b.Out = append(w.b.Out, Method{Func: fn, Receiver: receiver != "", Interface: iface, Field: field,
		Callback: iface == "" && w.mayBeGiven(fn)})
}

// isPrivate tells whether an interface is one that only the library can name.
func (w *worker) isPrivate(iface string) bool {
	pkg := redact.PackageOf(iface)
	return w.b.Inside(pkg+".") && !exported(strings.TrimPrefix(iface, pkg+".")) ||
		w.b.module != "" && strings.HasPrefix(pkg, w.b.module+"/") && strings.Contains(pkg+"/", "/internal/")
}

// iface gives the methods of all types that implement an interface.
func (w *worker) iface(name string, each func(fn, iface string)) error {
	methods, err := w.f.InterfaceMethods(name)
	if err != nil {
		return err
	}
	for _, method := range methods {
		implementations, err := w.f.Implementations(name, method)
		if err != nil {
			return err
		}
		if len(implementations) > mostImplementations {
			w.miss(name+"."+method, fmt.Sprintf("%d types implement it: name those that matter with --also",
				len(implementations)))
			continue
		}
		found, err := place.Find(w.f, name+"."+method)
		if err != nil {
			w.miss(name+"."+method, err.Error())
			continue
		}
		w.take(found, func(fn string) { each(fn, name) })
	}
	return nil
}

// moduleOf is the module that has the first package that is inside.
func (w *worker) moduleOf() (module string) {
	if len(w.b.packages) == 0 {
		return ""
	}
	pkg := w.b.packages[0]
	main, _ := w.f.MainModule()
	for _, m := range append(w.f.Modules(), [3]string{main}) {
		if (pkg == m[0] || strings.HasPrefix(pkg, m[0]+"/")) && len(m[0]) > len(module) {
			module = m[0]
		}
	}
	return module
}

// Module is that of the library, "" where it isn't known.
func (b *Boundary) Module() string { return b.module }

// Inside tells whether a function belongs to the library: to a package of the boundary, one below such, or one of the
// same module that nobody else may import.
func (b *Boundary) Inside(fn string) bool {
	pkg := PackageOf(fn)
	for _, p := range b.packages {
		if pkg == p || strings.HasPrefix(pkg, p+"/") {
			return true
		}
	}
	return b.module != "" && strings.HasPrefix(pkg, b.module+"/") && strings.Contains(pkg+"/", "/internal/")
}

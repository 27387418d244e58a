package host

import (
	"context"
	"io/fs"
	"reflect"
	"slices"
	"time"

	"ri/instruments/lang"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// Script is compiled Lua. One that returns an instrument's table has its Header.
type Script struct {
	Path   string // as messages name it
	Source string
	Header *lang.Header // nil: a bare script, its statements are what it does

	proto    *lua.FunctionProto
	packages bool    // the program's packages are globals
	folders  []fs.FS // in which require looks
}

// CompileScript compiles a Lua file and, if it is an instrument (it returns a table with a run function),
// evaluates and checks its header. No target is needed and none can be touched.
//
// folders are where require looks; without any, required modules are taken on trust until the script runs.
func CompileScript(path, source string, folders ...fs.FS) (*Script, error) {
	proto, chunk, err := lang.CompileLua(path, source)
	if err != nil {
		return nil, err
	}
	s := &Script{Path: path, Source: source, proto: proto, folders: folders}
	table := lang.HeaderTable(chunk)
	if table == nil {
		return s, nil
	}
	h := New(Options{Folders: folders, Limits: Limits{Time: 5 * time.Second, Memory: 128 << 20}})
	defer h.Close()
	h.trusting = len(folders) == 0
	err = h.limited(context.Background(), func() error {
		value, err := h.loadScript(s)
		if err != nil {
			return err
		}
		returned, ok := value.(*lua.LTable)
		if !ok {
			return &lang.ScriptError{File: path, Line: table.Line(), Message: path + ": the file returns no table"}
		}
		s.Header, err = lang.DecodeHeader(path, returned, lang.TableLines(table, "", nil))
		if err != nil {
			return &lang.ScriptError{File: path, Message: err.Error(), Cause: err}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// CompileExpression compiles what a person typed: an expression, whose value is printed, or statements.
func CompileExpression(name, source string) (*Script, error) {
	if proto, _, err := lang.CompileLua(name, "return "+source); err == nil {
		return &Script{Path: name, Source: source, proto: proto, packages: true}, nil
	}
	proto, _, err := lang.CompileLua(name, source)
	if err != nil {
		return nil, err
	}
	return &Script{Path: name, Source: source, proto: proto, packages: true}, nil
}

// withoutSymbols are the functions of ri that work on a program without debug information; all others name
// variables or types, or read by them.
var withoutSymbols = []string{
	"again", "atlimit", "bit", "buildinfo", "cmp", "cpu", "descriptors", "duration", "emit", "finding", "float", "hex",
	"int", "json", "leaveout", "log", "masked", "match", "memo", "memory", "now", "params", "progress", "sample", "target",
}

// NeedsSymbols says whether the script can do anything without the program's debug information: whether it, or a module
// that it requires, calls what names variables or types, and whether it takes expressions or types as parameters.
func (s *Script) NeedsSymbols() bool {
	if s.Header != nil && slices.ContainsFunc(s.Header.Params, func(p lang.Param) bool {
		return p.Type == lang.ParamExpr || p.Type == lang.ParamGoType
	}) {
		return true
	}
	h := &Host{opt: Options{Folders: s.folders}}
	return h.usesSymbols(s.Path, s.Source, map[string]bool{})
}

func (h *Host) usesSymbols(file, source string, seen map[string]bool) bool {
	if seen[file] {
		return false
	}
	seen[file] = true
	_, chunk, err := lang.CompileLua(file, source)
	if err != nil {
		return true
	}
	var u uses
	u.walk(reflect.ValueOf(chunk))
	return u.symbols || slices.ContainsFunc(u.modules, func(name string) bool {
		source, file, err := h.FindModule(name)
		return err != nil || h.usesSymbols(file, source, seen)
	})
}

// uses is what a chunk of Lua refers to.
type uses struct {
	symbols bool
	modules []string
}

func (u *uses) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			u.walk(v.Index(i))
		}
	case reflect.Interface:
		if !v.IsNil() {
			u.walk(v.Elem())
		}
	case reflect.Pointer:
		if v.IsNil() || u.expression(v.Interface()) {
			return
		}
		u.walk(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); v.Type().Field(i).IsExported() {
				u.walk(f)
			}
		}
	}
}

// expression notes ri.NAME and require(NAME), and says whether that was all there is in it.
func (u *uses) expression(e any) bool {
	switch e := e.(type) {
	case *ast.AttrGetExpr:
		if object, ok := e.Object.(*ast.IdentExpr); ok && object.Value == "ri" {
			name, literal := e.Key.(*ast.StringExpr)
			u.symbols = u.symbols || !literal || !slices.Contains(withoutSymbols, name.Value)
			return literal
		}
	case *ast.IdentExpr:
		u.symbols = u.symbols || e.Value == "ri" // handed on as a whole
	case *ast.FuncCallExpr:
		if f, ok := e.Func.(*ast.IdentExpr); ok && f.Value == "require" {
			if len(e.Args) == 1 {
				if name, literal := e.Args[0].(*ast.StringExpr); literal {
					u.modules = append(u.modules, name.Value)
					return true
				}
			}
			u.symbols = true
		}
	}
	return false
}

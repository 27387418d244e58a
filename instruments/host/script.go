package host

import (
	"context"
	"errors"
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
	h.script, h.trusting = s, len(folders) == 0
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
	"again", "atlimit", "bit", "buildinfo", "checked", "children",
	"cmp", "cpu", "decode", "descriptors", "duration", "emit", "ends", "finding", "float",
	"hex", "int", "json", "leaveout", "log", "masked", "match", "memo", "memory", "now", "params", "progress", "sample",
	"target", "token",
}

// NeedsSymbols says whether the script can do anything without the program's debug information: whether it, or a module
// that it requires, calls what names variables or types, and whether it takes expressions or types as parameters.
func (s *Script) NeedsSymbols() bool {
	if s.Header != nil && slices.ContainsFunc(s.Header.Params, func(p lang.Param) bool {
		return p.Type == lang.ParamExpr || p.Type == lang.ParamGoType
	}) {
		return true
	}
	return s.usesSymbols(module{0, s.Path, s.Source}, map[moduleKey]bool{})
}

// CheckModule says why the script can't require a module; nil if it can.
func (s *Script) CheckModule(name string) error {
	_, err := findModule(name, s.folders, 0, s)
	if errors.Is(err, fs.ErrNotExist) && slices.Contains(lang.ModuleNames, name) {
		return nil
	}
	return err
}

func (s *Script) usesSymbols(m module, seen map[moduleKey]bool) bool {
	key := moduleKey{m.folder, m.file}
	if seen[key] {
		return false
	}
	seen[key] = true
	_, chunk, err := lang.CompileLua(m.file, m.source)
	if err != nil {
		return true
	}
	var u uses
	lang.EachNode(reflect.ValueOf(chunk), u.expression)
	return u.symbols || slices.ContainsFunc(u.modules, func(name string) bool {
		required, err := findModule(name, s.folders, m.folder, s)
		if errors.Is(err, fs.ErrNotExist) && slices.Contains(lang.ModuleNames, name) {
			return false
		}
		return err != nil || s.usesSymbols(required, seen)
	})
}

// uses is what a chunk of Lua refers to.
type uses struct {
	symbols bool
	modules []string
}

// expression notes ri.NAME and require(NAME), and says whether there may be more in it.
func (u *uses) expression(e any) bool {
	switch e := e.(type) {
	case *ast.AttrGetExpr:
		if object, ok := e.Object.(*ast.IdentExpr); ok && object.Value == "ri" {
			name, literal := e.Key.(*ast.StringExpr)
			u.symbols = u.symbols || !literal || !slices.Contains(withoutSymbols, name.Value)
			return !literal
		}
	case *ast.IdentExpr:
		u.symbols = u.symbols || e.Value == "ri" // handed on as a whole
	case *ast.FuncCallExpr:
		if f, ok := e.Func.(*ast.IdentExpr); ok && f.Value == "require" {
			if len(e.Args) == 1 {
				if name, literal := e.Args[0].(*ast.StringExpr); literal {
					u.modules = append(u.modules, name.Value)
					return false
				}
			}
			u.symbols = true
		}
	}
	return true
}

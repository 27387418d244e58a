package host

import (
	"context"
	"io/fs"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Script is compiled Lua. One that returns an instrument's table has its Header.
type Script struct {
	Path   string // as messages name it
	Source string
	Header *Header // nil: a bare script, its statements are what it does

	proto    *lua.FunctionProto
	packages bool    // the program's packages are globals
	folders  []fs.FS // in which require looks
}

// CompileScript compiles a Lua file and, if it is an instrument (it returns a table with a run function),
// evaluates and checks its header. No target is needed and none can be touched.
//
// folders are where require looks; without any, required modules are taken on trust until the script runs.
func CompileScript(path, source string, folders ...fs.FS) (*Script, error) {
	proto, chunk, err := CompileLua(path, source)
	if err != nil {
		return nil, err
	}
	s := &Script{Path: path, Source: source, proto: proto, folders: folders}
	table := headerTable(chunk)
	if table == nil {
		return s, nil
	}
	h := New(Options{Folders: folders, Limits: Limits{Time: 5 * time.Second, Memory: 128 << 20}})
	defer h.Close()
	h.trusting = len(folders) == 0
	err = h.Call(context.Background(), func() error {
		value, err := h.loadScript(s)
		if err != nil {
			return err
		}
		returned, ok := value.(*lua.LTable)
		if !ok {
			return &ScriptError{File: path, Line: table.Line(), Message: path + ": the file returns no table"}
		}
		s.Header, err = decodeHeader(path, returned, tableLines(table, "", nil))
		if err != nil {
			return &ScriptError{File: path, Message: err.Error(), Cause: err}
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
	if proto, _, err := CompileLua(name, "return "+source); err == nil {
		return &Script{Path: name, Source: source, proto: proto, packages: true}, nil
	}
	proto, _, err := CompileLua(name, source)
	if err != nil {
		return nil, err
	}
	return &Script{Path: name, Source: source, proto: proto, packages: true}, nil
}

package place

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"ri/probe"
	"ri/symbols"
	"ri/values"
)

// Reasons why a variable, or a part of it, isn't there.
const (
	whyGone    = "optimised away here"
	whyUnclear = "in registers of which the debug information names one only"
	whyVector  = "in a vector register, which a probe can't read"
	whyUnknown = "its type isn't known"
)

// Vars gives the variables at a site of the function: arguments, then what a closure has captured, at an entry;
// arguments of an inlined call at its site; results, then arguments that are still there, at a return; all that are in
// scope at a line. Results at an entry are not given, since they aren't there yet.
func (fn *Function) Vars(site *probe.Site) []Var {
	info, ok := fn.file.FuncInfo(site.PC)
	if !ok {
		return nil
	}
	if fv := fn.file.FuncVars(site.PC); fv == nil || !fn.file.HasDWARF() {
		return fn.words(site, info)
	}
	switch site.Role {
	case probe.Entry:
		return slices.DeleteFunc(fn.atEntry(site, info), func(v Var) bool { return v.Kind == Result })
	case probe.Return:
		return fn.atReturn(site, info)
	case probe.Inlined:
		return fn.scope(site, probe.Inlined)
	}
	return fn.scope(site, probe.Line)
}

// Params gives names and types of what the function takes and gives, without where they are. Those of a stripped
// program aren't known.
func (fn *Function) Params() []Var {
	if fn.Entry != 0 {
		return fn.declared(fn.Entry)
	}
	for i := range fn.Sites {
		if vars := fn.Vars(&fn.Sites[i]); len(vars) > 0 {
			for j := range vars {
				vars[j].Pieces, vars[j].Why = nil, ""
			}
			return vars
		}
	}
	return nil
}

// declared gives receiver, arguments and results of the function at an entry, as they are declared.
func (fn *Function) declared(entry uint64) []Var {
	fv := fn.file.FuncVars(entry)
	var args, results []Var
	for _, v := range fv.At(entry, 0) {
		if !v.Argument || v.Name == dictionary {
			continue
		}
		one := Var{Name: v.Name, Type: v.Type}
		if name, escaped := strings.CutPrefix(v.Name, "&"); escaped && v.Type.Elem() != nil {
			one.Name, one.Type = name, v.Type.Elem()
		}
		if v.Result {
			one.Kind = Result
			results = append(results, one)
		} else {
			args = append(args, one)
		}
	}
	once := map[string]bool{"_": false}
	return slices.DeleteFunc(append(args, results...), func(v Var) bool {
		again := once[v.Name] // Go 1.26 names some results twice
		once[v.Name] = v.Name != "_"
		return again
	})
}

// word is the type of a dictionary, for which any pointer does.
func (fn *Function) word() *symbols.Type {
	return fn.file.Keep(wordKey{}, func() any {
		return fn.file.NewType("uintptr", reflect.Uintptr, wordSize)
	}).(*symbols.Type)
}

type wordKey struct{}

// convention is how a function may be called.
type convention struct {
	stack bool // ABI0: everything lies on the stack
	dict  int  // in front of which argument a word comes that isn't declared, as a generic function's dictionary; -1: none
}

// dictionary is the argument that a generic function is given for its type arguments. Debug information has it in some
// releases, in any order.
const dictionary = ".dict"

// assigned puts arguments and results where a convention has them. It is false where a type isn't known.
func (fn *Function) assigned(vars []Var, by convention) bool {
	a := frame{stackOnly: by.stack}
	results := false
	for i := range vars {
		v := &vars[i]
		if v.Kind == Result && !results {
			a.results()
			results = true
		}
		if i == by.dict {
			a.assign(fn.word())
		}
		pieces, ok := a.assign(v.Type)
		if !ok {
			return false
		}
		v.Pieces, v.Why = pieces, ""
		if slices.ContainsFunc(pieces, func(p Piece) bool { return p.Kind == Gone }) {
			v.Why = whyVector
		}
	}
	return true
}

// byABI gives the declared arguments and results where the ABI has them at the entry. Which one it is, debug
// information has to tell: functions that assembler calls are ABI0. It also says of some arguments what they will be
// later on (of x, in "if x == nil { x = y }", that it is where y is), so what most of them say is taken. It is false
// where they say something else altogether.
func (fn *Function) byABI(info symbols.FuncInfo) ([]Var, bool) {
	var best []Var
	most := 0
	for i, by := range fn.conventions(info) {
		vars := fn.declared(info.Entry)
		if !fn.assigned(vars, by) {
			return vars, false
		}
		if score := fn.agreement(vars, info.Entry); i == 0 || score > most {
			best, most = vars, score
		}
	}
	return best, most >= 0
}

// used gives the registers that have arguments, a closure's object or the goroutine at the entry, by DWARF's number. It
// is false where that isn't known.
func (fn *Function) used(info symbols.FuncInfo) (out []int, ok bool) {
	if fn.file.FuncVars(info.Entry) == nil {
		return nil, false
	}
	vars, ok := fn.byABI(info)
	for _, v := range vars {
		for _, p := range v.Pieces {
			if p.Kind == InRegister && v.Kind == Argument {
				out = append(out, p.Register)
			}
		}
	}
	if closure(info.Name) {
		out = append(out, closureRegister)
	}
	return append(out, goroutineRegister), ok
}

// conventions gives those that a function may have, the likely one first.
func (fn *Function) conventions(info symbols.FuncInfo) (out []convention) {
	if info.Assembler {
		return []convention{{true, -1}}
	}
	dicts := []int{-1}
	switch {
	case info.Wrapper:
		dicts = []int{-1, 0} // Go 1.20 doesn't tell of the receiver of some
	case strings.Contains(info.Name, "[") && method(info.Name):
		dicts = []int{1, -1, 0} // a method has it behind the receiver (cmd/compile/internal/noder: shaped methods)
	case strings.Contains(info.Name, "["):
		dicts = []int{0, -1, 1} // a closure has none
	}
	for _, stack := range []bool{false, true} {
		for _, dict := range dicts {
			out = append(out, convention{stack, dict})
		}
	}
	return out
}

// method tells whether a generic function's name is that of a method: "pkg.(*T[...]).M", "pkg.T[...].M".
func method(name string) bool {
	end := strings.Index(name, "]")
	return end >= 0 && (strings.HasPrefix(name[end+1:], ").") || strings.HasPrefix(name[end+1:], ".") &&
		!strings.HasPrefix(name[end+1:], ".func"))
}

// agreement counts the parts of arguments that lie, by debug information, where they are assumed to at the entry, less
// those that lie elsewhere.
func (fn *Function) agreement(vars []Var, entry uint64) (score int) {
	fv := fn.file.FuncVars(entry)
	for _, v := range fv.At(entry, 0) {
		if !v.Argument || v.Result || !v.Listed() || v.Type.Size <= 0 {
			continue
		}
		program := fv.Location(&v, entry)
		i := slices.IndexFunc(vars, func(o Var) bool { return o.Name == v.Name && o.Kind == Argument })
		said, err := values.Locate(fn.file, program, v.Type.Size)
		switch {
		case i < 0 || err != nil || len(program) == 0:
		default:
			score += agreeing(vars[i].Pieces, said)
		}
	}
	return score
}

// agreeing counts the parts of a variable of which debug information says the same, less those of which it says
// something else.
func agreeing(abi []Piece, said []values.Part) (score int) {
	at := int64(0)
	for _, part := range said {
		for _, p := range abi {
			if p.At != at {
				continue
			}
			switch part.Kind {
			case values.PartRegister:
				score += sign(p.Kind != OnStack && p.Register == part.Register)
			case values.PartStack:
				score += sign(p.Kind == OnStack && p.Off == part.Offset)
			}
		}
		at += part.Size
	}
	return score
}

func sign(yes bool) int {
	if yes {
		return 1
	}
	return -1
}

// atEntry gives arguments and results where they are when the function begins.
func (fn *Function) atEntry(site *probe.Site, info symbols.FuncInfo) []Var {
	vars, ok := fn.byABI(info)
	if !ok {
		vars = fn.scope(site, probe.Entry)
	}
	return append(vars, fn.captured(site)...)
}

// closureRegister has the address of a closure's object when it begins: DX; goroutineRegister always that of g: R14.
const (
	closureRegister   = 1
	goroutineRegister = 14
)

// captured gives the variables that a closure has of its surroundings, at its entry.
func (fn *Function) captured(site *probe.Site) (out []Var) {
	fv := fn.file.FuncVars(site.PC)
	for _, v := range fv.At(site.PC, 0) {
		if v.ClosureOffset <= 0 {
			continue
		}
		one := Var{Name: v.Name, Type: v.Type, Kind: Captured, Pieces: []Piece{{Kind: Behind,
			Register: closureRegister, Off: v.ClosureOffset, Size: v.Type.Size}}}
		one.pointer()
		out = append(out, one)
	}
	return out
}

// pointer recognises a variable that moved to the heap: debug information has its address under the name "&x".
func (v *Var) pointer() {
	if name, escaped := strings.CutPrefix(v.Name, "&"); escaped && name != "" && v.Type.Elem() != nil {
		v.Name, v.Type, v.Pointer = name, v.Type.Elem(), true
		for i := range v.Pieces {
			v.Pieces[i].Size = wordSize
		}
	}
}

// atReturn gives results where the ABI has them, and the arguments that are still there.
func (fn *Function) atReturn(site *probe.Site, info symbols.FuncInfo) []Var {
	vars, ok := fn.byABI(info)
	if !ok {
		return fn.scope(site, probe.Return)
	}
	out := slices.DeleteFunc(vars, func(v Var) bool { return v.Kind != Result })
	for _, v := range fn.scope(site, probe.Return) {
		if v.Kind == Argument {
			out = append(out, v)
		}
	}
	return out
}

// scope gives what debug information says of the variables at a site.
func (fn *Function) scope(site *probe.Site, role probe.Role) (out []Var) {
	fv, at, depth := fn.file.FuncVars(site.PC), site.PC, 0
	if role == probe.Inlined || site.Into != "" {
		at, depth = fn.inside(site)
	}
	for _, v := range fv.At(at, depth) {
		if role != probe.Line && !v.Argument || role == probe.Inlined && v.Result || v.Name == dictionary {
			continue
		}
		one := Var{Name: v.Name, Type: v.Type, Kind: Local}
		switch {
		case v.Result:
			one.Kind = Result
		case v.Argument:
			one.Kind = Argument
		case v.ClosureOffset > 0:
			one.Kind = Captured
		}
		one.locate(fn.file, fv.Location(&v, site.PC))
		one.pointer()
		out = append(out, one)
	}
	for i, v := range fv.Declared(at, depth) {
		if role != probe.Inlined || v.Result || v.Name == dictionary ||
			slices.ContainsFunc(out, func(o Var) bool { return o.Name == strings.TrimPrefix(v.Name, "&") }) {
			continue
		}
		out = slices.Insert(out, min(i, len(out)), Var{Name: v.Name, Type: v.Type, Kind: Argument, Why: whyGone})
	}
	return out
}

// locate takes a variable's pieces from a location expression.
func (v *Var) locate(f *symbols.File, program []byte) {
	switch {
	case v.Type.Size < 0 || v.Type.Kind == reflect.Invalid:
		v.Why = whyUnknown
		return
	case v.Type.Size == 0:
		return
	case len(program) == 0:
		v.Why = whyGone
		return
	}
	parts, err := values.Locate(f, program, v.Type.Size)
	if err != nil {
		v.Why = whyGone
		return
	}
	at := int64(0)
	for _, part := range parts {
		p := Piece{At: at, Size: part.Size}
		switch {
		case part.Kind == values.PartRegister && part.Size > wordSize:
			// The debug information says one register of what has several (an inlined slice, Go 1.26).
			p.Kind, p.Register, v.Why = Gone, part.Register, whyUnclear
		case part.Kind == values.PartRegister && part.Register < 16:
			p.Kind, p.Register = InRegister, part.Register
		case part.Kind == values.PartRegister:
			p.Kind, p.Register, v.Why = Gone, part.Register, whyVector
		case part.Kind == values.PartStack:
			p.Kind, p.Off = OnStack, part.Offset
		case part.Kind == values.PartValue:
			p.Kind, p.Data = Fixed, part.Data
		default:
			p.Kind = Gone
			if v.Why == "" {
				v.Why = whyGone
			}
		}
		at += part.Size
		v.Pieces = append(v.Pieces, p)
	}
	if at < v.Type.Size && v.Why == "" {
		v.Why = whyGone
	}
	if !slices.ContainsFunc(v.Pieces, func(p Piece) bool { return p.Kind != Gone }) {
		v.Pieces = nil
	}
}

// words gives what can be said without debug information: the words in which arguments may come.
func (fn *Function) words(site *probe.Site, info symbols.FuncInfo) (out []Var) {
	if site.Role != probe.Entry {
		return nil
	}
	for i := range max(info.Args, 0) / wordSize {
		v := Var{Name: fmt.Sprintf("word%d", i), Type: fn.word()}
		switch {
		case info.Assembler:
			v.Pieces = []Piece{{Kind: OnStack, Off: i * wordSize, Size: wordSize}}
		case int(i) < len(argRegisters):
			v.Pieces = []Piece{{Kind: InRegister, Register: argRegisters[i], Size: wordSize}}
		default:
			return out
		}
		out = append(out, v)
	}
	return out
}

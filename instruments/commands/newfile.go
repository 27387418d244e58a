package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"ri/attach"
	"ri/files"
	"ri/instruments/lang"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
	"ri/symbols"
	"ri/values"
	"ri/values/eval"
)

var instrumentName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// NewInstrument writes NAME.lua, an instrument that runs as it is, and NAME.yaml, a catalogue that names it. With expr
// it goes through what that stands for in the target, and has the elements' plain fields as columns; without, through
// goroutines.
func NewInstrument(ctx context.Context, out *rows.Output, name, expr string, choice looks.TargetChoice) error {
	if !instrumentName.MatchString(name) {
		return rows.Usagef("%s: a recipe's name has small letters, digits and hyphens: slow-requests", rows.QuoteName(name))
	}
	if expr == "" && choice.Given() {
		return rows.Usagef("a target without an expression: ri new %s --expr main.store.devices -p PID", name)
	}
	text := templateOfGoroutines
	if expr != "" {
		s, _, err := looks.Explore("new", looks.Options{}, choice)
		if err != nil {
			return err
		}
		defer s.Close()
		if text, err = template(ctx, s, expr); err != nil {
			return rows.Refused(err)
		}
	}
	script, catalogue := name+".lua", name+".yaml"
	entry := fmt.Sprintf("# ri run %s --recipes %s -p PID; in ~/.config/ri/recipes.d, with the file beside it, ri run "+
		"%s will do.\n%s: {instrument: %s}\n", name, catalogue, name, name, script)
	for _, f := range []struct{ path, text string }{{script, text}, {catalogue, entry}} {
		if err := writeNew(f.path, f.text); err != nil {
			return rows.Refused(err)
		}
	}
	target := "-p PID"
	switch {
	case choice.PID != "":
		target = "-p " + choice.PID
	case choice.Core != "":
		target = "-c " + choice.Core
		if choice.Exe != "" {
			target += " --exe " + choice.Exe
		}
	}
	if err := out.WriteText(fmt.Sprintf("wrote %s and %s\n  ri lint %s %s    checks them, without a target\n  ri run "+
		"./%s %s    runs it\n  ri run %s --recipes %s %s\n",
		script, catalogue, script, catalogue, script, target, name, catalogue, target)); err != nil {
		return err
	}
	return out.Commit()
}

func writeNew(path, text string) error {
	if err := files.Outside(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already: give another name, or remove it", path)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, rows.UnwrapPath(err))
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

const templateOfGoroutines = `-- What this instrument is for, in a sentence.

return {
  title = "goroutines that wait, and where",
  category = "target",
  description = [[
What a row is, and what the numbers mean. This text is what ri show prints.]],
  params = {
    { name = "limit", type = "int", default = 20, min = 1, help = "rows shown" },
  },
  columns = {
    { name = "id", type = "int", key = true },
    { name = "status" },
    { name = "func", help = "the innermost function" },
  },
  run = function(p)
    -- One walker: this one goes through goroutines. Others: ri.pairs(ri.var 'main.store'.devices),
    -- ri.linked(head, 'next'), ri.find 'server.Client'. docs/lua.md has all.
    local shown = 0
    for g in ri.goroutines() do
      if shown == p.limit then break end
      shown = shown + 1
      local frames = g:stack(1)
      ri.emit { id = g.id, status = g.status, func = frames[1] and frames[1].func }
    end
  end,
}
`

// maxColumns is how many fields a template shows.
const maxColumns = 6

// template is an instrument that goes through what an expression stands for.
func template(ctx context.Context, s *looks.Session, expr string) (string, error) {
	view, err := s.Target.View(ctx, attach.ViewOptions{Kind: attach.Live})
	if err != nil {
		return "", err
	}
	defer view.Close()
	v, err := standsFor(s.Space(view), expr)
	if err != nil {
		return "", err
	}
	elem := v.Type
	loop, column := "local v = ri.eval(p.expr)", ""
	switch v.Type.Kind {
	case reflect.Slice, reflect.Array:
		loop, column, elem = "for index, v in ri.pairs(ri.eval(p.expr)) do", "index", v.Type.Elem()
	case reflect.Map:
		loop, column, elem = "for key, v in ri.pairs(ri.eval(p.expr)) do", "key", v.Type.Elem()
	case reflect.Struct:
		if slices.Contains([]string{"sync.Map", "container/list.List"}, v.Type.Name) { // lib/ has a walker
			loop, column, elem = "for key, v in ri.pairs(ri.eval(p.expr)) do", "key", nil
		}
	default:
		return "", fmt.Errorf("%s is a %s: name a struct, slice, array or map", expr, v.Type.Name)
	}
	for elem != nil && elem.Kind == reflect.Pointer && elem.Elem() != nil {
		elem = elem.Elem()
	}
	var columns, cells []string
	if column != "" {
		columns, cells = append(columns, fmt.Sprintf("    { name = %q, key = true },\n", column)),
			append(cells, column+" = "+column)
	}
	if elem != nil && elem.Kind == reflect.Struct {
		for _, f := range plainFields(v, elem, column) {
			typ := ""
			if f.column != "" {
				typ = fmt.Sprintf(", type = %q", string(f.column))
			}
			columns = append(columns, fmt.Sprintf("    { name = %q%s },\n", f.name, typ))
			cells = append(cells, luaField(f.name)+" = "+luaDot("v", f.name))
		}
	}
	if len(cells) < 2 {
		columns, cells = append(columns, "    { name = \"value\" },\n"), append(cells, "value = v")
	}
	body := "    " + loop + "\n" + emitCall("      ", cells) + "    end\n"
	if column == "" {
		body = "    " + loop + "\n" + emitCall("    ", cells)
	}
	return fmt.Sprintf(`-- What this instrument is for, in a sentence. It was made for %s, a %s.

return {
  title = %q,
  category = "target",
  description = [[
What a row is, and what the numbers mean. This text is what ri show prints.]],
  params = {
    { name = "expr", type = "expr", default = %q, help = "what to go through" },
  },
  columns = {
%s  },
  run = function(p)
%s  end,
}
`, expr, v.Type.Name, "what is in "+expr, expr, strings.Join(columns, ""), body), nil
}

// standsFor is the value of an expression, behind all pointers.
func standsFor(space *values.Space, expr string) (values.Value, error) {
	v, err := eval.Expression(space, expr)
	if err != nil {
		return v, err
	}
	for v.Type.Kind == reflect.Pointer || v.Type.Kind == reflect.Interface {
		v, err = v.Elem()
		if errors.Is(err, values.ErrNil) {
			return v, fmt.Errorf("%s is nil just now: name what it is to point to", expr)
		}
		if err != nil {
			return v, fmt.Errorf("%s: %w", expr, err)
		}
	}
	return v, nil
}

// emitCall is the line that gives a row, or the lines where that would be long.
func emitCall(indent string, cells []string) string {
	if line := indent + "ri.emit { " + strings.Join(cells, ", ") + " }\n"; len(line) <= 120 {
		return line
	}
	return indent + "ri.emit {\n" + indent + "  " + strings.Join(cells, ",\n"+indent+"  ") + ",\n" + indent + "}\n"
}

// plainField is a field that a column shows as it is.
type plainField struct {
	name   string
	column rows.ColumnType
}

// plainFields are the first fields of a struct that are shown as they are, those of embedded structs too (not of
// embedded pointers, which may be nil); atomic ones count as what they hold.
func plainFields(v values.Value, t *symbols.Type, taken string) (fields []plainField) {
	var add func(t *symbols.Type, depth int)
	add = func(t *symbols.Type, depth int) {
		var embedded []*symbols.Type // theirs come after the own ones
		for _, f := range t.Fields() {
			typ := f.Type
			if inner, _, ok := v.Space().Atomic(typ); ok {
				typ = inner
			} else if f.Embedded && typ.Kind == reflect.Struct && depth < 3 {
				embedded = append(embedded, typ)
				continue
			}
			column, plain := plainColumn(typ)
			twice := slices.ContainsFunc(fields, func(other plainField) bool { return other.name == f.Name })
			if plain && !twice && len(fields) < maxColumns && f.Name != "_" && f.Name != taken {
				fields = append(fields, plainField{f.Name, column})
			}
		}
		for _, e := range embedded {
			add(e, depth+1)
		}
	}
	add(t, 0)
	return fields
}

// plainColumn tells whether a field is shown as it is, and the type of its column.
func plainColumn(t *symbols.Type) (rows.ColumnType, bool) {
	switch t.Kind {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8,
		reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if t.Name == "time.Duration" {
			return rows.ColumnDuration, true
		}
		return rows.ColumnInt, true
	case reflect.Float32, reflect.Float64:
		return rows.ColumnFloat, true
	case reflect.Bool:
		return rows.ColumnBool, true
	case reflect.String:
		return rows.ColumnAny, true
	}
	if t.Name == "time.Time" {
		return rows.ColumnTime, true
	}
	return "", false
}

func luaField(name string) string {
	if luaName(name) {
		return name
	}
	return fmt.Sprintf("[%q]", name)
}

func luaDot(v, name string) string {
	if luaName(name) {
		return v + "." + name
	}
	return fmt.Sprintf("%s[%q]", v, name)
}

// luaName tells whether Lua takes a Go name behind a dot.
func luaName(name string) bool {
	for _, w := range lang.LuaWords {
		if w == name {
			return false
		}
	}
	return lang.LastWord.FindString(name) == name
}

// ShowScript writes the script behind a recipe.
func ShowScript(out *rows.Output, c *recipes.Catalogue, name string) error {
	r, err := recipes.FindRecipe(c, name)
	if err != nil {
		return rows.Usage(err)
	}
	s, err := r.Script(c)
	if err != nil {
		return rows.Usage(err)
	}
	if out.Format == rows.Table {
		err = out.WriteText(strings.ReplaceAll(s.Source, "\r\n", "\n"))
	} else {
		err = out.WriteOne(rows.Of("recipe", r.Name, "instrument", r.Instrument, "source", s.Source))
	}
	if err != nil {
		return err
	}
	return out.Commit()
}

// LuaAPI writes Annotations.
func LuaAPI(out *rows.Output) error {
	if err := out.WriteText(lang.Annotations()); err != nil {
		return err
	}
	return out.Commit()
}

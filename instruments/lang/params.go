package lang

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ri/instruments/rows"
)

// Params are a run's parameters by name, each in the type that it declares: string, int64, float64,
// bool, time.Duration or (address) uint64. A parameter that was not given and has no default is absent.
type Params map[string]any

// ParseParams takes what a person wrote after the recipe's name, presets underneath it and the instrument's
// defaults under those.
func ParseParams(h *Header, presets map[string]string, args []string) (Params, error) {
	params := Params{}
	for _, p := range h.Params {
		if p.Default != nil {
			params[p.Name] = p.Default
		}
	}
	for name, value := range presets {
		v, err := ParseParam(h, name, value)
		if err != nil {
			return nil, err
		}
		params[name] = v
	}
	given := map[string]bool{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, fmt.Errorf("%s is no parameter: write NAME=VALUE%s", rows.QuoteName(arg), paramHint(h, arg))
		}
		if given[name] {
			return nil, fmt.Errorf("parameter %s is given twice", name)
		}
		v, err := ParseParam(h, name, value)
		if err != nil {
			return nil, err
		}
		given[name] = true
		params[name] = v
	}
	var missing []string
	for _, p := range h.Params {
		if _, ok := params[p.Name]; p.Required && !ok {
			text := p.Name + "=" + strings.ToUpper(string(p.Type))
			if p.Help != "" {
				text += " (" + p.Help + ")"
			}
			missing = append(missing, text)
		}
	}
	if lacking := h.LacksOneOf(func(name string) bool { _, ok := params[name]; return ok }); lacking != "" {
		missing = append(missing, lacking)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("needs %s", strings.Join(missing, " and "))
	}
	return params, nil
}

// LacksOneOf says which parameters there are of which one has to be given, if none is; "" otherwise.
func (h *Header) LacksOneOf(given func(string) bool) string {
	if len(h.OneOf) == 0 || slices.ContainsFunc(h.OneOf, given) {
		return ""
	}
	var texts []string
	for _, name := range h.OneOf {
		texts = append(texts, name+"="+strings.ToUpper(name))
	}
	return strings.Join(texts, " or ")
}

// Row gives the parameters in the order in which the header declares them.
func (p Params) Row(h *Header) rows.Row {
	row := rows.Row{}
	for _, decl := range h.Params {
		if v, ok := p[decl.Name]; ok {
			row = append(row, rows.Cell{Name: decl.Name, Value: v})
		}
	}
	return row
}

// paramHint guesses where "=" was forgotten.
func paramHint(h *Header, arg string) string {
	for _, p := range h.Params {
		if p.Required {
			return fmt.Sprintf(", such as %s=%s", p.Name, arg)
		}
	}
	return ""
}

// ParseParam reads value as the parameter name's type.
func ParseParam(h *Header, name, value string) (any, error) {
	i := slices.IndexFunc(h.Params, func(p Param) bool { return p.Name == name })
	if i < 0 {
		var names []string
		for _, p := range h.Params {
			names = append(names, p.Name)
		}
		switch hint := rows.DidYouMean(name, names); {
		case hint != "":
			return nil, fmt.Errorf("no parameter %s%s", rows.QuoteName(name), hint)
		case len(names) == 0:
			return nil, fmt.Errorf("no parameter %s; it takes none", rows.QuoteName(name))
		default:
			return nil, fmt.Errorf("no parameter %s; there are %s", rows.QuoteName(name), strings.Join(names, ", "))
		}
	}
	p := &h.Params[i]
	v, err := p.parse(value)
	if err != nil {
		return nil, fmt.Errorf("parameter %s: %w", name, err)
	}
	if p.Min != nil && compareParam(v, p.Min) < 0 {
		return nil, fmt.Errorf("parameter %s: %s is below its minimum, %s", name, value, ParamText(p.Min))
	}
	if p.Max != nil && compareParam(v, p.Max) > 0 {
		return nil, fmt.Errorf("parameter %s: %s is above its maximum, %s", name, value, ParamText(p.Max))
	}
	return v, nil
}

func (p *Param) parse(value string) (any, error) {
	bad := func(want string) (any, error) {
		return nil, fmt.Errorf("%s is no %s", strconv.Quote(value), want)
	}
	switch p.Type {
	case ParamInt:
		v, err := strconv.ParseInt(strings.ReplaceAll(value, ",", ""), 0, 64)
		if err != nil {
			return bad("integer")
		}
		return v, nil
	case ParamFloat:
		v, err := strconv.ParseFloat(value, 64)
		if err != nil || v != v {
			return bad("number")
		}
		return v, nil
	case ParamBool:
		switch strings.ToLower(value) {
		case "true", "yes", "on", "1":
			return true, nil
		case "false", "no", "off", "0":
			return false, nil
		}
		return bad("truth value: true or false")
	case ParamDuration:
		v, err := time.ParseDuration(value)
		if err != nil {
			return bad("duration such as 250ms, 3s or 2h")
		}
		return v, nil
	case ParamAddress:
		v, err := strconv.ParseUint(value, 0, 64)
		if err != nil {
			return bad("address such as 0xc000012000")
		}
		return v, nil
	case ParamEnum:
		return value, p.among(value)
	case ParamEnums:
		var names []string
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
		return strings.Join(names, ","), p.among(names...)
	case ParamString:
		return value, p.chooses(value)
	case ParamExpr, ParamHit, ParamGoType:
		if strings.TrimSpace(value) == "" {
			return bad(map[ParamType]string{ParamExpr: "expression", ParamHit: "expression", ParamGoType: "Go type"}[p.Type])
		}
	}
	return value, nil
}

// among is an error if not all are values of the parameter.
func (p *Param) among(names ...string) error {
	for _, name := range names {
		if !slices.Contains(p.Values, name) {
			return fmt.Errorf("%s is none of %s%s", rows.QuoteName(name), strings.Join(p.Values, ", "),
				rows.DidYouMean(name, p.Values))
		}
	}
	return nil
}

// ParamText is a parameter's value as it would be written in NAME=VALUE.
func ParamText(v any) string {
	switch v := v.(type) {
	case time.Duration:
		return rows.DurationText(v)
	case uint64:
		return fmt.Sprintf("%#x", v)
	}
	return fmt.Sprint(v)
}

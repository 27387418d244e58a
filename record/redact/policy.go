package redact

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"ri/secrets"
)

// Action is what is done with a piece of memory.
type Action uint8

// From what keeps most to what keeps least. Where two say something of one byte, the stricter counts.
const (
	Keep  Action = iota // as it is
	Token               // another text of the same length in its place, equal for equal texts
	Mask                // asterisks in its place
	Drop                // nothing: to read it is an error
)

var actionNames = []string{"keep", "token", "mask", "drop"}

func (a Action) String() string { return actionNames[min(int(a), len(actionNames)-1)] }

// UnmarshalYAML implements yaml.Unmarshaler.
func (a *Action) UnmarshalYAML(n *yaml.Node) error {
	i := slices.Index(actionNames, n.Value)
	if i < 0 {
		return fmt.Errorf("line %d: %q is no action; they are %s", n.Line, n.Value, strings.Join(actionNames, ", "))
	}
	*a = Action(i)
	return nil
}

// Rule is one line of a policy. All that it names must fit; what it leaves empty fits anything. Patterns are those of
// path.Match: "*" stands for anything but a slash.
type Rule struct {
	Action   Action `yaml:"-"`
	Type     string `yaml:"type"`     // full name: "example.com/shop.Order"
	Field    string `yaml:"field"`    // path in the type: "customer.name"; its last part alone fits too
	Package  string `yaml:"package"`  // import path of the type
	Variable string `yaml:"variable"` // package variable, full name
	Recipe   string `yaml:"recipe"`   // of a row
	Column   string `yaml:"column"`   // of a row
}

// Policy is an ordered list of rules, of which the first that fits counts, before what holds for all programs. The zero
// Policy has no rules.
type Policy struct {
	Rules []Rule
	// DenyNumbers drops single numbers, too.
	DenyNumbers bool
}

// ErrPolicy: a policy's text is not what it should be.
var ErrPolicy = errors.New("bad policy")

// maxPolicy bounds a policy's text, in bytes.
const maxPolicy = 1 << 20

// ReadPolicy reads a policy, a list of rules in YAML, each with the action as its key:
//
//   - keep: {type: example.com/shop.Order, field: state}
//   - drop: {package: example.com/shop/billing}
//   - token: {field: customer.*}
//
// name is for messages. Errors: ErrPolicy, errors of r.
func ReadPolicy(r io.Reader, name string) (*Policy, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxPolicy+1))
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", name, err)
	}
	if len(text) > maxPolicy {
		return nil, fmt.Errorf("policy %s is longer than %d bytes: %w", name, maxPolicy, ErrPolicy)
	}
	var list []map[string]yaml.Node
	if err := yaml.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("policy %s: %v: %w", name, err, ErrPolicy)
	}
	p := &Policy{}
	for i, entry := range list {
		if len(entry) != 1 {
			return nil, fmt.Errorf("policy %s, rule %d: it has %d keys, and should have one: keep, token, mask or "+
				"drop: %w", name, i+1, len(entry), ErrPolicy)
		}
		for action, body := range entry {
			rule, err := readRule(action, &body)
			if err != nil {
				return nil, fmt.Errorf("policy %s, line %d: %v: %w", name, body.Line, err, ErrPolicy)
			}
			p.Rules = append(p.Rules, rule)
		}
	}
	return p, nil
}

func readRule(action string, body *yaml.Node) (r Rule, err error) {
	if err := r.Action.UnmarshalYAML(&yaml.Node{Value: action, Line: body.Line}); err != nil {
		return r, err
	}
	if body.Kind != yaml.MappingNode || len(body.Content) == 0 {
		return r, errors.New("a rule names what it is of: type, field, package, variable, recipe or column")
	}
	fields := map[string]*string{"type": &r.Type, "field": &r.Field, "package": &r.Package, "variable": &r.Variable,
		"recipe": &r.Recipe, "column": &r.Column}
	for i := 0; i+1 < len(body.Content); i += 2 {
		key, value := body.Content[i].Value, body.Content[i+1]
		dst := fields[key]
		if dst == nil {
			return r, fmt.Errorf("unknown key %q; they are type, field, package, variable, recipe and column", key)
		}
		if value.Kind != yaml.ScalarNode || value.Value == "" {
			return r, fmt.Errorf("%s has no text", key)
		}
		if _, err := path.Match(value.Value, ""); err != nil {
			return r, fmt.Errorf("%s: pattern %q: %v", key, value.Value, err)
		}
		*dst = value.Value
	}
	return r, nil
}

// what is a place that a rule may be about.
type what struct {
	typ, pkg string
	field    []string // path in typ
	variable string
}

// rule gives the first rule about a place. named says that the rule names the place's own field, not only its parents.
func (p *Policy) rule(w what) (action Action, named, ok bool) {
	for _, r := range p.Rules {
		if r.Recipe != "" || r.Column != "" || !fits(r.Type, w.typ) || !fits(r.Package, w.pkg) ||
			!fits(r.Variable, w.variable) {
			continue
		}
		if r.Field != "" {
			if len(w.field) == 0 || !fits(r.Field, strings.Join(w.field, ".")) && !fits(r.Field, w.field[len(w.field)-1]) {
				continue
			}
		}
		return r.Action, r.Field != "" && !strings.HasSuffix(r.Field, "*") || r.Variable != "", true
	}
	return Keep, false, false
}

// Field says what to do with a field of which only the path in a type is known: text tells that it is one, or leads to
// one, number that it is a single number which isn't the runtime's own.
func (p *Policy) Field(typ, variable, path string, text, number bool) Action {
	w := what{typ: typ, pkg: PackageOf(typ), variable: variable}
	if path != "" {
		w.field = strings.Split(path, ".")
	}
	switch a, _, ok := p.rule(w); {
	case ok:
		return a
	case text:
		return Token
	case number && p.DenyNumbers:
		return Drop
	}
	return Keep
}

// Column says what to do with the texts of a column of a recipe's rows: Token unless a rule says otherwise. A column
// whose name is a secret's is kept only by a rule that names it.
func (p *Policy) Column(recipe, column string) Action {
	for _, r := range p.Rules {
		if (r.Recipe != "" || r.Column != "") && fits(r.Recipe, recipe) && fits(r.Column, column) {
			if r.Action == Keep && r.Column != column && secrets.Name(column) {
				continue
			}
			return r.Action
		}
	}
	return Token
}

// Named gives what is done with a value of which only the name is known, as of a field in a stream. Capitals don't
// count. ok is false if no rule says: those that name more than a field don't.
func (p *Policy) Named(name string) (a Action, ok bool) {
	for _, r := range p.Rules {
		if r.Field != "" && r.Type+r.Package+r.Variable+r.Recipe+r.Column == "" &&
			fits(strings.ToLower(r.Field), strings.ToLower(name)) {
			return r.Action, true
		}
	}
	return Keep, false
}

func fits(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	ok, _ := path.Match(pattern, text)
	return ok || pattern == text
}

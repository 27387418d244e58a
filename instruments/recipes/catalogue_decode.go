package recipes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"ri/attach"
	"ri/instruments/rows"
)

// A catalogue is decoded node by node, so that each complaint has its line, and
// a recipe that is wrong doesn't take the others with it.

var recipeName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// recipeKeys are the keys of an entry, each with what takes its value.
var recipeKeys = map[string]func(*entryDecoder, *yaml.Node){
	"title":      func(d *entryDecoder, n *yaml.Node) { d.recipe.Title = d.text(n) },
	"instrument": (*entryDecoder).instrument,
	"params":     (*entryDecoder).params,
	"mode": func(d *entryDecoder, n *yaml.Node) {
		d.recipe.Mode = Mode(d.oneOf(n, string(Read), string(Write)))
	},
	"view": func(d *entryDecoder, n *yaml.Node) {
		d.recipe.View = attach.ViewKind(d.oneOf(n, viewNames()...))
	},
	"max-stop": func(d *entryDecoder, n *yaml.Node) { d.recipe.MaxStop = d.duration(n) },
	"limits":   (*entryDecoder).limits,
	"lock":     (*entryDecoder).locks,
}

var limitKeys = map[string]func(*entryDecoder, *yaml.Node){
	"time":   func(d *entryDecoder, n *yaml.Node) { d.recipe.Limits.Time = d.duration(n) },
	"memory": func(d *entryDecoder, n *yaml.Node) { d.recipe.Limits.Memory = d.size(n) },
	"rows":   func(d *entryDecoder, n *yaml.Node) { d.recipe.Limits.Rows = d.count(n) },
	"output": func(d *entryDecoder, n *yaml.Node) { d.recipe.Limits.Output = d.size(n) },
}

// viewNames are the views that a recipe and --view can ask for.
func viewNames() []string {
	return []string{string(attach.Live), string(attach.Snapshot), string(attach.Stopped)}
}

// decodeCatalogue reads one source. Recipes that are wrong come with broken set and are in problems too.
func decodeCatalogue(src catalogueFile) (recipes []*Recipe, problems []error) {
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(src.Data))
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil // empty
		}
		return nil, []error{YamlError(src.Name, err)}
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, []error{fmt.Errorf("%s: more than one document; a catalogue is one", src.Name)}
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, []error{fmt.Errorf("%s:%d: a catalogue is a mapping of recipes' names to recipes, not %s", src.Name,
			root.Line, kindName(root))}
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, val := root.Content[i], root.Content[i+1]
		pos := Position{src.Name, key.Line}
		switch {
		case key.Kind != yaml.ScalarNode || !recipeName.MatchString(key.Value):
			problems = append(problems, fmt.Errorf("%s: %s can't be a recipe's name: lower-case words joined by dashes", pos,
				rows.QuoteName(key.Value)))
			continue
		case seen[key.Value] != 0:
			problems = append(problems, fmt.Errorf("%s: recipe %s is declared twice; first in line %d", pos, key.Value,
				seen[key.Value]))
			continue
		}
		seen[key.Value] = key.Line
		d := &entryDecoder{
			src:    src.Name,
			recipe: &Recipe{Name: key.Value, Mode: Read, Origin: pos, Scripts: src.Scripts},
		}
		d.entry(key, val)
		d.recipe.broken = errors.Join(d.problems...)
		recipes = append(recipes, d.recipe)
		problems = append(problems, d.problems...)
	}
	return recipes, problems
}

// entryDecoder decodes one recipe and collects what is wrong with it.
type entryDecoder struct {
	src      string
	recipe   *Recipe
	problems []error
}

func (d *entryDecoder) fail(n *yaml.Node, format string, args ...any) {
	d.problems = append(d.problems, fmt.Errorf("%s: recipe %s: %s", Position{d.src, n.Line}, d.recipe.Name,
		fmt.Sprintf(format, args...)))
}

func (d *entryDecoder) entry(key, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "must be a mapping with the key instrument, not %s", kindName(n))
		return
	}
	d.mapping(n, "key", recipeKeys)
	if d.recipe.Instrument == "" && len(d.problems) == 0 {
		d.fail(key, "no instrument: name the Lua file that it runs")
	}
	if d.recipe.Mode == Write && d.recipe.View == attach.Live {
		d.fail(key, "mode write needs view snapshot or stopped, not %s", d.recipe.View)
	}
}

// mapping gives each value of n to its key's function.
func (d *entryDecoder) mapping(n *yaml.Node, what string, keys map[string]func(*entryDecoder, *yaml.Node)) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		take, ok := keys[key.Value]
		switch {
		case !ok || key.Kind != yaml.ScalarNode:
			d.fail(key, "unknown %s %s%s", what, rows.QuoteName(key.Value), rows.DidYouMean(key.Value, rows.SortedKeys(keys)))
		case seen[key.Value]:
			d.fail(key, "%s %s is given twice", what, key.Value)
		default:
			seen[key.Value] = true
			take(d, val)
		}
	}
}

func (d *entryDecoder) instrument(n *yaml.Node) {
	d.recipe.instrPos = Position{d.src, n.Line}
	file := d.text(n)
	if file == "" {
		return
	}
	clean := path.Clean(file)
	if !fs.ValidPath(clean) || !strings.HasSuffix(clean, ".lua") {
		d.fail(n, "instrument %s: must be a .lua file in the catalogue's folder or below it", rows.QuoteName(file))
		return
	}
	d.recipe.Instrument = clean
}

func (d *entryDecoder) params(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "params must be a mapping of parameters to values, not %s", kindName(n))
		return
	}
	d.recipe.Presets = map[string]string{}
	d.recipe.presetPos = map[string]Position{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if _, twice := d.recipe.Presets[key.Value]; twice {
			d.fail(key, "parameter %s is given twice", key.Value)
			continue
		}
		if val.Kind != yaml.ScalarNode || val.Tag == "!!null" {
			d.fail(val, "parameter %s must be one value, not %s", rows.QuoteName(key.Value), kindName(val))
			continue
		}
		d.recipe.Presets[key.Value] = val.Value
		d.recipe.presetPos[key.Value] = Position{d.src, key.Line}
	}
}

func (d *entryDecoder) limits(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "limits must be a mapping with the keys time, memory, rows, not %s", kindName(n))
		return
	}
	d.mapping(n, "limit", limitKeys)
}

// locks takes one expression or a list of them.
func (d *entryDecoder) locks(n *yaml.Node) {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	for _, n := range list {
		if expr := d.text(n); expr != "" {
			d.recipe.Locks = append(d.recipe.Locks, expr)
		}
	}
}

func (d *entryDecoder) text(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
		d.fail(n, "a text is needed here, not %s", kindName(n))
		return ""
	}
	return n.Value
}

func (d *entryDecoder) oneOf(n *yaml.Node, values ...string) string {
	for _, v := range values {
		if n.Kind == yaml.ScalarNode && n.Value == v {
			return v
		}
	}
	d.fail(n, "%s is none of %s%s", rows.QuoteName(n.Value), strings.Join(values, ", "), rows.DidYouMean(n.Value, values))
	return ""
}

func (d *entryDecoder) duration(n *yaml.Node) time.Duration {
	v, err := time.ParseDuration(n.Value)
	if err != nil || v <= 0 {
		d.fail(n, "%s is no duration such as 100ms or 2s", rows.QuoteName(n.Value))
		return 0
	}
	return v
}

func (d *entryDecoder) count(n *yaml.Node) int {
	v, err := strconv.ParseInt(n.Value, 10, 32)
	if err != nil || v <= 0 {
		d.fail(n, "%s is no count", rows.QuoteName(n.Value))
		return 0
	}
	return int(v)
}

func (d *entryDecoder) size(n *yaml.Node) int64 {
	v, err := parseSize(n.Value)
	if err != nil || v <= 0 {
		d.fail(n, "%s is no size such as 64MiB", rows.QuoteName(n.Value))
		return 0
	}
	return v
}

// parseSize reads a number of bytes: 4096, 64KiB, 1.5GiB, 10MB.
func parseSize(s string) (int64, error) {
	units := []struct {
		suffix string
		factor float64
	}{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
		{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
	}
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || v != v || v < 0 || v*u.factor >= 1<<63 {
			break
		}
		return int64(v * u.factor), nil
	}
	return 0, fmt.Errorf("%s is no size such as 4096, 64KiB or 10MB", rows.QuoteName(s))
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "nothing"
		}
		return rows.QuoteName(n.Value)
	}
	return "this"
}

// YamlError puts the file in front of the parser's complaint: "yaml: line 3: ..." becomes "file:3: ...".
func YamlError(file string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if line, what, ok := strings.Cut(rest, ": "); ok {
			return fmt.Errorf("%s:%s: %s", file, line, what)
		}
	}
	return fmt.Errorf("%s: %s", file, text)
}

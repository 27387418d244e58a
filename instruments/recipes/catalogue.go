package recipes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ri/attach"
	"ri/files"
	"ri/instruments/host"
	"ri/instruments/lang"
	"ri/instruments/rows"
)

// Mode says whether a recipe changes its target.
type Mode string

const (
	Read  Mode = "read"
	Write Mode = "write"
)

// Recipe is a named entry of the catalogue: an instrument with presets, a mode, a view and limits.
type Recipe struct {
	Name       string
	Title      string            // "": the instrument's own
	Instrument string            // the script, as the catalogue names it
	Presets    map[string]string // parameters, as k=v would give them
	Mode       Mode
	View       attach.ViewKind // "": the default
	MaxStop    time.Duration   // 0: the default
	Limits     host.Limits
	Locks      []string // expressions of the mutexes that must be free

	Origin    Position   // where it is declared
	Overrides []Position // recipes of that name in earlier sources, which this one replaces

	Scripts   fs.FS               // where Instrument and what it requires lie
	presetPos map[string]Position // for errors
	instrPos  Position
	broken    error
	script    *host.Script
}

// Position is a line of a catalogue.
type Position struct {
	File string // "built-in recipes.yaml", a path
	Line int
}

func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// catalogueFile is one file of recipes.
type catalogueFile struct {
	Name    string // what messages call it
	Data    []byte
	Scripts fs.FS // what its scripts are relative to
	Asked   bool  // named on the command line: what is wrong in it is an error, not a warning
}

// builtInName is what messages call the catalogue that ri brings.
const builtInName = "built-in recipes.yaml"

// BuiltIn tells whether ri brings the recipe.
func (r *Recipe) BuiltIn() bool { return r.Origin.File == builtInName }

// From says where the recipe comes from, and whose file that is.
func (r *Recipe) From() string {
	if r.BuiltIn() {
		return r.Origin.String()
	}
	if owner := files.Owner(r.Origin.File); owner != "" {
		return r.Origin.String() + " (of " + owner + ")"
	}
	return r.Origin.String()
}

// Source says in one line where the recipe comes from, and in whose place it stands: "built-in recipes.yaml:12", or
// "/home/jo/.config/ri/recipes.d/mine.yaml:3 (of jo), in place of built-in recipes.yaml:12".
func (r *Recipe) Source() string {
	text := r.From()
	for i, o := range r.Overrides {
		if i == 0 {
			text += ", in place of "
		} else {
			text += " and "
		}
		text += o.String()
	}
	return text
}

// Replaced says that the recipe stands in the place of one that ri brings; "" if it doesn't.
func (r *Recipe) Replaced() string {
	for _, o := range r.Overrides {
		if o.File == builtInName {
			return fmt.Sprintf("recipe %s is not the one that ri brings: it is from %s", r.Name, r.From())
		}
	}
	return ""
}

// Catalogue is what recipes there are.
type Catalogue struct {
	recipes map[string]*Recipe
	library fs.FS // scripts that any script may require
}

// newCatalogue joins sources, a later one overriding recipes of an earlier one by name.
//
// What is wrong in a source that wasn't asked for comes back in warnings: the rest works without it.
// A recipe that can't be used stays in the catalogue, so that who runs it is told why.
func newCatalogue(library fs.FS, sources ...catalogueFile) (c *Catalogue, warnings []error, err error) {
	c = &Catalogue{recipes: map[string]*Recipe{}, library: library}
	for _, src := range sources {
		recipes, problems := decodeCatalogue(src)
		for _, r := range recipes {
			if r.broken == nil {
				r.broken = r.checkScript()
				if r.broken != nil {
					problems = append(problems, r.broken)
				}
			}
			if old := c.recipes[r.Name]; old != nil {
				if r.broken != nil && !src.Asked {
					continue // what worked goes on working
				}
				r.Overrides = append(slices.Clone(old.Overrides), old.Origin)
			}
			c.recipes[r.Name] = r
		}
		if src.Asked && len(problems) > 0 {
			return nil, warnings, errors.Join(problems...)
		}
		warnings = append(warnings, problems...)
	}
	return c, warnings, nil
}

// Recipes gives all usable recipes, sorted by name.
func (c *Catalogue) Recipes() []*Recipe {
	var list []*Recipe
	for _, r := range c.recipes {
		if r.broken == nil {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *Recipe) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Recipe finds a recipe by name; the error names near ones.
func (c *Catalogue) Recipe(name string) (*Recipe, error) {
	if r := c.recipes[name]; r != nil {
		return r, r.broken
	}
	var names []string
	for n := range c.recipes {
		names = append(names, n)
	}
	return nil, fmt.Errorf("no recipe %s%s (ri recipes lists them)", rows.QuoteName(name), rows.DidYouMean(name, names))
}

// Bare makes a recipe of an instrument file that no catalogue names.
func (c *Catalogue) Bare(path string) (*Recipe, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	r := &Recipe{
		Name:       strings.TrimSuffix(filepath.Base(path), ".lua"),
		Instrument: filepath.Base(path),
		Mode:       Read,
		Origin:     Position{File: path},
		Scripts:    files.Dir(filepath.Dir(abs), false),
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("no instrument file %s: %w", path, rows.UnwrapPath(err))
	}
	if info.IsDir() {
		return nil, fmt.Errorf("no instrument file %s: it is a directory", path)
	}
	return r, nil
}

// isFile says whether what a person calls a recipe is an instrument file instead.
func isFile(name string) bool {
	return strings.HasSuffix(name, ".lua") || strings.ContainsRune(name, os.PathSeparator)
}

// Script compiles the recipe's instrument, once, and checks the presets against its header.
func (r *Recipe) Script(c *Catalogue) (*host.Script, error) {
	if r.script != nil {
		return r.script, nil
	}
	source, err := fs.ReadFile(r.Scripts, r.Instrument)
	if err != nil {
		if r.instrPos.File == "" { // no catalogue names it
			return nil, fmt.Errorf("%s: %w", r.Origin, rows.UnwrapPath(err))
		}
		return nil, fmt.Errorf("%s: instrument %s: %w", r.instrPos, r.Instrument, rows.UnwrapPath(err))
	}
	s, err := host.CompileScript(r.Instrument, string(source), r.Folders(c)...)
	if err != nil {
		return nil, err
	}
	if s.Header == nil {
		if len(r.Presets) > 0 {
			return nil, fmt.Errorf("%s: %s is no instrument (it returns no table with run), so it takes no parameters",
				r.instrPos, r.Instrument)
		}
		r.script = s
		return s, nil
	}
	for _, name := range rows.SortedKeys(r.Presets) {
		if _, err := lang.ParseParam(s.Header, name, r.Presets[name]); err != nil {
			return nil, fmt.Errorf("%s: recipe %s: %w", r.presetPos[name], r.Name, err)
		}
	}
	r.script = s
	return s, nil
}

// Folders are where the recipe's scripts look for what they require: its own folder, then what is built in.
func (r *Recipe) Folders(c *Catalogue) []fs.FS {
	if r.BuiltIn() {
		return []fs.FS{c.library}
	}
	return []fs.FS{r.Scripts, c.library}
}

// TitleOr is the recipe's title, else that of its instrument.
func (r *Recipe) TitleOr(h *lang.Header) string {
	if r.Title != "" {
		return r.Title
	}
	if h == nil {
		return ""
	}
	return h.Title
}

// checkScript says whether the instrument is there.
func (r *Recipe) checkScript() error {
	info, err := fs.Stat(r.Scripts, r.Instrument)
	if err == nil && info.IsDir() {
		err = errors.New("is a folder")
	}
	if err != nil {
		return fmt.Errorf("%s: recipe %s: instrument %s: %w", r.instrPos, r.Name, r.Instrument, rows.UnwrapPath(err))
	}
	return nil
}

// OpenCatalogue reads all recipes: see [findSources] and [newCatalogue].
func OpenCatalogue(built fs.FS, named ...string) (c *Catalogue, warnings []error, err error) {
	library, err := scriptsIn(built)
	if err != nil {
		return nil, nil, err
	}
	sources, warnings, err := findSources(built, named...)
	if err != nil {
		return nil, warnings, err
	}
	c, more, err := newCatalogue(library, sources...)
	return c, append(warnings, more...), err
}

// RecipeWords are the names of all recipes, each with its title behind a tab, as completion of a command shell has it.
func (c *Catalogue) RecipeWords() (words []string) {
	for _, r := range c.Recipes() {
		title := r.Title
		if script, err := r.Script(c); err == nil {
			title = r.TitleOr(script.Header)
		}
		words = append(words, r.Name+"\t"+title)
	}
	return words
}

func HeaderOf(s *host.Script) *lang.Header {
	if s.Header == nil {
		return &lang.Header{}
	}
	return s.Header
}

func Positions(list []Position) any {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.String()
	}
	return rows.Texts(names)
}

func FindRecipe(c *Catalogue, name string) (*Recipe, error) {
	if isFile(name) {
		return c.Bare(name)
	}
	r, err := c.Recipe(name)
	if err != nil {
		if _, statErr := os.Stat(name + ".lua"); statErr == nil {
			err = fmt.Errorf("%w; for the file here: ri run ./%s.lua", err, name)
		}
		return nil, err
	}
	return r, nil
}

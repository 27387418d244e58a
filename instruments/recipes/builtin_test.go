package recipes_test

import (
	"os"
	"strings"
	"testing"

	"ri/instruments/lang"
	"ri/instruments/recipes"
	"ri/values/layout"
)

// Each built-in recipe compiles, its presets are parameters, and its header says what a reader needs.
func TestBuiltInRecipes(t *testing.T) {
	t.Setenv("RI_RECIPES", "")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	c, warnings, err := recipes.OpenCatalogue(os.DirFS("../.."))
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	for _, r := range c.Recipes() {
		script, err := r.Script(c)
		if err != nil {
			t.Error(err)
			continue
		}
		h := script.Header
		if h == nil {
			t.Errorf("%s: %s is no instrument", r.Name, r.Instrument)
			continue
		}
		if h.Title == "" || h.Category == "" || h.Description == "" || h.Sample == "" {
			t.Errorf("%s: title, category, description or sample is missing", r.Name)
		}
		if len(h.Columns) == 0 && r.Name != "check" { // which gives findings
			t.Errorf("%s: columns are missing", r.Name)
		}
		if len(h.Title) > 60 {
			t.Errorf("%s: the title has more than 60 letters: %s", r.Name, h.Title)
		}
		for _, p := range h.Params {
			if p.Help == "" {
				t.Errorf("%s: parameter %s has no help", r.Name, p.Name)
			}
		}
		for _, col := range h.Columns {
			if !col.Hidden && !strings.Contains(h.Sample, strings.ToUpper(strings.ReplaceAll(col.Name, "_", " "))) {
				t.Errorf("%s: the sample doesn't show column %s", r.Name, col.Name)
			}
		}
	}
}

// The manual names all structures of the runtime that an instrument may need.
func TestManualNamesRuntime(t *testing.T) {
	text, err := lang.Manual(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if want := "`" + strings.Join(layout.Groups(), "`, `") + "`"; !strings.Contains(text, want) {
		t.Errorf("the manual lacks %s", want)
	}
}

package recipes_test

import (
	"flag"
	"os"
	"testing"

	"ri/instruments/recipes"
)

var update = flag.Bool("update", false, "write docs/recipes.md")

const recipesFile = "../../docs/recipes.md"

func TestRecipesPage(t *testing.T) {
	t.Setenv("RI_RECIPES", "")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	c, _, err := recipes.OpenCatalogue(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	text, err := recipes.RecipesPage(c)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(recipesFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(recipesFile)
	if err != nil || string(old) != text {
		t.Errorf("%s is stale (%v): go test ./instruments/recipes -run TestRecipesPage -update", recipesFile, err)
	}
}

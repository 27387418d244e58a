package instruments_test

import (
	"flag"
	"os"
	"testing"

	"ri"
	"ri/instruments"
)

const recipesFile = "../docs/recipes.md"

func TestRecipesPage(t *testing.T) {
	t.Setenv("RI_RECIPES", "")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	c, _, err := instruments.OpenCatalogue(ri.Files)
	if err != nil {
		t.Fatal(err)
	}
	text, err := instruments.RecipesPage(c)
	if err != nil {
		t.Fatal(err)
	}
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(recipesFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(recipesFile)
	if err != nil || string(old) != text {
		t.Errorf("%s is stale (%v): go test ./instruments -run TestRecipesPage -update", recipesFile, err)
	}
}

package commands

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"ri/fleet"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/instruments/rows"
	"ri/record/redact"
	"ri/serve/request"
)

// keptColumns are those of recordings of many.
var keptColumns = []rows.Column{{Name: "file"}, {Name: "bytes", Type: rows.ColumnInt},
	{Name: "recipes", Type: rows.ColumnInt}, {Name: "tokens", Type: rows.ColumnInt}, {Name: "kept", Hidden: true},
	{Name: "denied", Hidden: true}, {Name: "unknown", Hidden: true}, {Name: "stops", Hidden: true},
	{Name: "stopped", Hidden: true}, {Name: "read_bytes", Hidden: true}, {Name: "seconds", Hidden: true}}

// FleetRecord has each target recorded, into a file of its own in a folder that is new or empty.
func FleetRecord(ctx context.Context, out *rows.Output, a *fleet.Asker, q *fleet.Question, opt RecordOptions) error {
	if opt.All && len(opt.Recipes) > 0 {
		return rows.Usagef("recipes by name and --all exclude each other")
	}
	for _, name := range opt.Recipes {
		if strings.HasSuffix(name, ".lua") || strings.Contains(name, "/") && !strings.Contains(name, "=") {
			return rows.Usagef("%s: ri fleet record takes the recipes that agents have by name", rows.QuoteName(name))
		}
	}
	if opt.KeyFile != "" { // one key for all
		if _, err := keyOf(opt.KeyFile, redact.NewKey()); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name  string
		given bool
	}{{"all", opt.All}, {"heap", opt.Heap}, {"deny-numbers", opt.DenyNumbers}, {"symbols-whole", opt.WholeSymbols}} {
		if f.given {
			q.Flags = append(q.Flags, request.Flag{Name: f.name, Value: "true"})
		}
	}
	for name, value := range map[string]string{"policy": opt.Policy, "key-file": opt.KeyFile} {
		if value != "" {
			q.Flags = append(q.Flags, request.Flag{Name: name, Value: value})
		}
	}
	for _, key := range opt.EncryptTo {
		q.Flags = append(q.Flags, request.Flag{Name: "encrypt-to", Value: key})
	}
	q.Args = opt.Recipes
	var err error
	if q.Keep, err = filepath.Abs(opt.File); err != nil {
		return err
	}
	made, err := newFolder(opt.File)
	if err != nil {
		return err
	}
	if made {
		defer os.Remove(q.Keep) // fails once there is something in it
	}
	return FleetAsk(ctx, out, a, q, keptColumns, looks.Options{})
}

// newFolder makes a folder, or takes an empty one that is there.
func newFolder(path string) (made bool, err error) {
	if path == "" || path == "-" {
		return false, rows.Usagef("ri fleet record writes a file of each target into a folder: name one (-o FOLDER)")
	}
	err = os.Mkdir(path, 0o700)
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, os.ErrExist) {
		return false, rows.Usagef("-o %s: %w", path, rows.UnwrapPath(err))
	}
	entries, err := os.ReadDir(path)
	switch {
	case err != nil:
		return false, rows.Usagef("-o %s: is there already, and is no folder that can be read: name another one", path)
	case len(entries) > 0:
		return false, rows.Usagef("-o %s: has something in it, and recordings are not put beside what is there: name "+
			"a folder that is new or empty", path)
	}
	return false, nil
}

// FleetRecipes refuses, before anybody is asked, recipes that no recording can have. What isn't known here agents may
// know.
func FleetRecipes(c *recipes.Catalogue, names []string) error {
	for _, name := range names {
		if recipe, err := recipes.FindRecipe(c, name); err == nil && recipe.Mode == recipes.Write {
			return rows.Usagef("recipe %s changes the target; a recording only looks", recipe.Name)
		}
	}
	return nil
}

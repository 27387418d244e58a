package recipes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ri/files"
	"ri/instruments/rows"
)

// findSources gives the catalogues to read; a later one overrides an earlier one. First comes the built-in one, then
// /etc/ri/recipes.d, then recipes.d in the user's ri folder. What the variable RI_RECIPES lists (files and folders)
// follows, and last the files named on the command line.
//
// built holds recipes.yaml and scripts/lua. A source that can't be read is a warning, but an error if it was named.
func findSources(built fs.FS, named ...string) (sources []catalogueFile, warnings []error, err error) {
	data, err := fs.ReadFile(built, "recipes.yaml")
	if err != nil {
		return nil, nil, err
	}
	scripts, err := scriptsIn(built)
	if err != nil {
		return nil, nil, err
	}
	sources = append(sources, catalogueFile{Name: builtInName, Data: data, Scripts: scripts})

	places := []string{"/etc/ri/recipes.d"}
	if dir := files.ConfigFolder(); dir != "" {
		places = append(places, filepath.Join(dir, "ri", "recipes.d"))
	}
	for _, dir := range places {
		found, problems := readPlace(dir, true, true)
		sources, warnings = append(sources, found...), append(warnings, problems...)
	}
	for _, p := range filepath.SplitList(os.Getenv("RI_RECIPES")) {
		if p != "" {
			found, problems := readPlace(p, false, true)
			sources, warnings = append(sources, found...), append(warnings, problems...)
		}
	}
	for _, p := range named {
		found, problems := readPlace(p, false, false)
		if err := errors.Join(problems...); err != nil {
			return nil, warnings, err
		}
		for i := range found {
			found[i].Asked = true
		}
		sources = append(sources, found...)
	}
	return sources, warnings, nil
}

// scriptsIn is the folder of built-in scripts, from which any script may require.
func scriptsIn(built fs.FS) (fs.FS, error) { return fs.Sub(built, "scripts/lua") }

// readPlace reads a catalogue, or each *.yaml of a folder by name; with believed, what only this user or root could
// have written.
func readPlace(place string, mayMiss, believed bool) (sources []catalogueFile, problems []error) {
	info, err := os.Stat(place)
	if err != nil {
		if mayMiss && errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, []error{fmt.Errorf("catalogue %s: %w", place, rows.UnwrapPath(err))}
	}
	paths := []string{place}
	if info.IsDir() {
		entries, err := os.ReadDir(place)
		if err != nil {
			return nil, []error{fmt.Errorf("catalogue folder %s: %w", place, rows.UnwrapPath(err))}
		}
		paths = nil
		for _, e := range entries {
			if ext := filepath.Ext(e.Name()); !strings.HasPrefix(e.Name(), ".") && (ext == ".yaml" || ext == ".yml") {
				paths = append(paths, filepath.Join(place, e.Name()))
			}
		}
		slices.Sort(paths)
	}
	for _, f := range paths {
		read := files.Read
		if believed {
			read = files.ReadBelieved
		}
		data, err := read(f, files.MaxText)
		if err != nil {
			problems = append(problems, fmt.Errorf("catalogue %s: %w", f, rows.UnwrapPath(err)))
			continue
		}
		sources = append(sources, catalogueFile{Name: f, Data: data, Scripts: files.Dir(filepath.Dir(f), believed)})
	}
	return sources, problems
}

package client

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"gopkg.in/yaml.v3"

	"ri/files"
	"ri/serve/request"
)

// mostAlong is how many files may travel because others name them.
const mostAlong = 1000

// along are the files that what the command line names is made of: a catalogue's instruments, a folder's catalogues, a
// script's modules. What isn't there, or isn't what it seems, is left for the command to complain of.
func along(named request.Named) []request.Named {
	var all []request.Named
	seen := map[string]bool{named.Path: true}
	queue := []request.Named{named}
	add := func(path string) {
		if seen[path] || len(all) == mostAlong {
			return
		}
		seen[path] = true
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return
		}
		data, err := files.Read(path, files.MaxText)
		if err != nil {
			return
		}
		one := request.Named{Path: path, Kind: request.IsFile, Data: data}
		all, queue = append(all, one), append(queue, one)
	}
	for ; len(queue) > 0; queue = queue[1:] {
		f := queue[0]
		folder := filepath.Dir(f.Path)
		switch {
		case f.Kind == request.IsFolder:
			entries, _ := os.ReadDir(f.Path)
			for _, e := range entries {
				if isCatalogue(e.Name()) {
					add(filepath.Join(f.Path, e.Name()))
				}
			}
		case isCatalogue(f.Path):
			for _, name := range instrumentsOf(f.Data) {
				add(filepath.Join(folder, name))
			}
		case filepath.Ext(f.Path) == ".lua":
			// modules lie in the folder of the catalogue or script that was named first, or beside who requires them
			for _, m := range requires.FindAllSubmatch(f.Data, -1) {
				if name := string(m[1]) + ".lua"; filepath.IsLocal(name) {
					for _, at := range []string{filepath.Dir(named.Path), folder} {
						add(filepath.Join(at, "lib", name))
						add(filepath.Join(at, name))
					}
				}
			}
		}
	}
	return all
}

// requires is how a script names a module.
var requires = regexp.MustCompile(`\brequire\s*\(?\s*["']([A-Za-z0-9_./-]+)["']`)

func isCatalogue(path string) bool {
	return slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(path))
}

// instrumentsOf are the scripts that a catalogue names, below its own folder.
func instrumentsOf(text []byte) []string {
	var entries map[string]yaml.Node
	if yaml.Unmarshal(text, &entries) != nil {
		return nil
	}
	var all []string
	for _, node := range entries {
		var entry struct{ Instrument string }
		if node.Decode(&entry) == nil && filepath.IsLocal(entry.Instrument) && filepath.Ext(entry.Instrument) == ".lua" {
			all = append(all, entry.Instrument)
		}
	}
	slices.Sort(all)
	return all
}

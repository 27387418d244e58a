package instruments

import (
	"fmt"
	"os"
)

func headerOf(s *Script) *Header {
	if s.Header == nil {
		return &Header{}
	}
	return s.Header
}

func positions(list []Position) any {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.String()
	}
	return texts(names)
}

func findRecipe(c *Catalogue, name string) (*Recipe, error) {
	if IsFile(name) {
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

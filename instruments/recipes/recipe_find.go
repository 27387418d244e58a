package recipes

import (
	"fmt"
	"os"

	"ri/instruments/host"
	"ri/instruments/rows"
)

func HeaderOf(s *host.Script) *host.Header {
	if s.Header == nil {
		return &host.Header{}
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

package looks

import (
	"fmt"
	"os"
	"path/filepath"

	"ri/symbols"
)

// lend has a stripped program's file take the names of an unstripped build.
func lend(f *symbols.File, path string) (*symbols.File, error) {
	if path == "" {
		return nil, nil
	}
	if f.HasDWARF() {
		return nil, fmt.Errorf("the program has debug information of its own; leave out --symbols")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	lender, err := symbols.OpenCached(file, filepath.Base(path), symbols.CacheFolder())
	if err == nil {
		err = f.Borrow(lender)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return lender, nil
}

package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"ri/record/calls"
)

// wanted is what a recording needs of the library.
type wanted struct {
	header *calls.Header
	end    *calls.End
	types  map[string]bool // names behind interfaces
	vars   map[string]bool // package variables
	calls  map[string]int64
}

// read reads a recording for what it needs. Errors: those of package calls.
func read(path string) (*wanted, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := calls.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	w := &wanted{header: &r.Header, types: map[string]bool{}, vars: map[string]bool{}, calls: map[string]int64{}}
	for _, s := range r.Header.State {
		w.value(s.Value)
	}
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			w.end = r.End
			return w, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if e.Kind == calls.Call {
			w.calls[e.Func]++
		}
		for _, v := range e.Values {
			w.value(v)
		}
	}
}

// value notes the names in a value.
func (w *wanted) value(raw json.RawMessage) {
	if !bytes.Contains(raw, []byte(`"$type"`)) && !bytes.Contains(raw, []byte(`"$var"`)) {
		return
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	last := ""
	for {
		token, err := d.Token()
		if err != nil {
			return
		}
		text, ok := token.(string)
		if !ok {
			last = ""
			continue
		}
		switch last {
		case "$type":
			w.types[text] = true
		case "$var":
			w.vars[text] = true
		}
		last = text
	}
}

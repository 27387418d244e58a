package format

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// maxValues bounds what one block of JSON lists: a list of nothing takes two bytes each in the file, and a hundred in
// memory.
const maxValues = 1 << 22

// Unmarshal is json.Unmarshal of a block, or of another text of a recording, which may claim anything. Errors:
// ErrMalformed.
func Unmarshal(text []byte, v any) error {
	if err := Bounded(text); err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%v: %w", err, ErrMalformed)
	}
	return nil
}

// Bounded refuses JSON that lists more than any recording does. Errors: ErrMalformed.
func Bounded(text []byte) error { return bounded(text, maxValues) }

func bounded(text []byte, limit int) error {
	if n := bytes.Count(text, []byte{','}); n > limit {
		return fmt.Errorf("a list of %d values, the limit is %d: %w", n, limit, ErrMalformed)
	}
	return nil
}

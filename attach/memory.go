package attach

import (
	"errors"
	"fmt"
)

// PageSize is the unit in which memory is copied and noted, in bytes. Pages of every processor (arch.Arch.PageSize) are
// a multiple of it.
const PageSize = 4096

// Range is a piece of target memory that is wanted.
type Range struct {
	Addr uint64
	Data []byte // filled with what is there
	N    int    // how many bytes of Data were filled
}

// AddressError says that memory at an address could not be read. It unwraps to ErrNotMapped.
type AddressError struct {
	Addr uint64
	Why  string // more than "not mapped", or empty
}

func (e *AddressError) Error() string {
	if e.Why != "" {
		return fmt.Sprintf("address %#x is not mapped: %s", e.Addr, e.Why)
	}
	return fmt.Sprintf("address %#x is not mapped", e.Addr)
}

func (e *AddressError) Unwrap() error { return ErrNotMapped }

func NotMapped(addr uint64) error { return &AddressError{Addr: addr} }

func IsNotMapped(err error) bool { return errors.Is(err, ErrNotMapped) }

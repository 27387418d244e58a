package cnt

import (
	"sync/atomic"
)

type Counter interface{ Inc() }
type counter struct{ valBits, valInt uint64 }

func (c *counter) Inc() { c.valInt++ }
func New() Counter      { return &counter{} }

type String struct {
	_ [0]func()
	v atomic.Value
}

func NewString(s string) *String { x := &String{}; x.v.Store(s); return x }

type packedError struct{ Value error }
type Error struct {
	_ [0]func()
	v atomic.Value
}

func NewError(e error) *Error    { x := &Error{}; x.v.Store(packedError{e}); return x }
func (x *Error) Store(e error)   { x.v.Store(packedError{e}) }
func (x *String) Store(e string) { x.v.Store(e) }

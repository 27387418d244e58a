package rows

import (
	"errors"
	"fmt"
)

// How a command or a look ended, for callers that act on it: the command line makes an exit code of it. Where an error
// is none of these, and none of the errors of the rooms below, something failed.
var (
	// ErrUsage: it was asked for in a wrong way; nothing was looked at.
	ErrUsage = errors.New("wrong use")
	// ErrRefused: the target can't be looked at or changed, or must not be.
	ErrRefused = errors.New("refused")
	// ErrPartial: a limit was hit, and the output is not all.
	ErrPartial = errors.New("the output is partial")
	// ErrFound: all went well, and something is wrong with the target.
	ErrFound = errors.New("something was found")
)

// markedError is an error that is also one of the kinds above. Its text is its own.
type markedError struct{ kind, err error }

func (e *markedError) Error() string   { return e.err.Error() }
func (e *markedError) Unwrap() []error { return []error{e.kind, e.err} }

func marked(kind, err error) error {
	if err == nil {
		return nil
	}
	return &markedError{kind, err}
}

// Usage marks err as ErrUsage; nil stays nil.
func Usage(err error) error { return marked(ErrUsage, err) }

// Usagef is Usage of a text.
func Usagef(format string, args ...any) error { return Usage(fmt.Errorf(format, args...)) }

// Refused marks err as ErrRefused; nil stays nil.
func Refused(err error) error { return marked(ErrRefused, err) }

// Partial marks err as ErrPartial; nil stays nil.
func Partial(err error) error { return marked(ErrPartial, err) }

// saidError is an error of which nothing is left to say.
type saidError struct{ err error }

func (e *saidError) Error() string { return "" }
func (e *saidError) Unwrap() error { return e.err }

// Said is err without a text, since all of it was said already; nil stays nil.
func Said(err error) error {
	if err == nil {
		return nil
	}
	return &saidError{err}
}

// Ended is how the run ended: the error that ended it, else ErrPartial, else ErrFound, else nil. What was left out
// makes it ErrPartial where nothing was found.
func (r *Result) Ended() error {
	switch {
	case r.Err != nil:
		return r.Err
	case len(r.Partial) > 0:
		return ErrPartial
	case len(r.Findings) > 0:
		return ErrFound
	case len(r.LeftOut) > 0:
		return ErrPartial
	}
	return nil
}

package instruments

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"ri/attach"
	"ri/symbols"
)

// Exit codes of ri.
const (
	ExitDone     = 0
	ExitFailed   = 1 // the recipe failed, or the target died
	ExitUsage    = 2
	ExitFound    = 3 // ri.finding
	ExitRefused  = 4 // cannot attach, or refused
	ExitPartial  = 5 // a limit was hit, the output is partial
	ExitConflict = 6 // a change conflicted and was rolled back

	exitSignal = 128
)

// codedError is an error that knows its exit code.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// Usage marks err as the caller's mistake; nil stays nil.
func Usage(err error) error { return withCode(ExitUsage, err) }

// Usagef is Usage of a text.
func Usagef(format string, args ...any) error { return Usage(fmt.Errorf(format, args...)) }

// Refused marks err as a reason for not looking at the target; nil stays nil.
func Refused(err error) error { return withCode(ExitRefused, err) }

// ExitWith ends ri with a code and nothing more to say; 0 is nil.
func ExitWith(code int) error {
	if code == ExitDone {
		return nil
	}
	return withCode(code, errSilent)
}

func withCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return &codedError{code, err}
}

// Signal is the cause of a run that a signal ended.
type Signal struct{ syscall.Signal }

func (s Signal) Error() string { return fmt.Sprintf("%v; the target runs", s.Signal) }

// Suspend lets all targets run and then stops this process, as job control wants it.
func Suspend() { attach.Suspend() }

// ExitCode is what ri exits with after err.
func ExitCode(err error) int {
	var coded *codedError
	var sig Signal
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &sig):
		return exitSignal + int(sig.Signal)
	case errors.Is(err, context.Canceled):
		return exitSignal + int(syscall.SIGINT)
	case errors.As(err, &coded):
		return coded.code
	case errors.Is(err, attach.ErrNoProcess), errors.Is(err, attach.ErrPermission), errors.Is(err, attach.ErrTraced),
		errors.Is(err, attach.ErrZombie), errors.Is(err, attach.ErrNotSupported),
		errors.Is(err, symbols.ErrNotGo), errors.Is(err, symbols.ErrNoDWARF):
		return ExitRefused
	}
	return ExitFailed
}

// ExitCode is what ri exits with after this run: what failed, then what is partial, then what was found.
func (r *Result) ExitCode() int {
	switch {
	case r.Err != nil:
		return ExitCode(r.Err)
	case len(r.Partial) > 0:
		return ExitPartial
	case len(r.Findings) > 0:
		return ExitFound
	}
	return ExitDone
}

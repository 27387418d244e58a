package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"ri/attach"
	"ri/attach/process"
	"ri/change"
	"ri/instruments/rows"
	"ri/symbols"
)

// Exit codes of ri.
const (
	exitDone     = 0
	exitFailed   = 1 // the recipe failed, or the target died
	exitUsage    = 2
	exitFound    = 3 // ri.finding
	exitRefused  = 4 // cannot attach, or refused
	exitPartial  = 5 // a limit was hit, the output is partial
	exitConflict = 6 // a change conflicted and was rolled back

	exitSignal = 128
)

// codes says which errors have which exit code. Where several hold, the first counts.
var codes = []struct {
	code int
	errs []error
}{
	{exitUsage, []error{rows.ErrUsage}},
	{exitConflict, []error{change.ErrConflict}},
	{exitPartial, []error{rows.ErrPartial}},
	{exitFound, []error{rows.ErrFound}},
	{exitRefused, []error{
		rows.ErrRefused, attach.ErrNoProcess, attach.ErrPermission, attach.ErrTraced, attach.ErrZombie,
		attach.ErrNotSupported, symbols.ErrNotGo, symbols.ErrNoDWARF,
	}},
}

// exitCode is what ri exits with after err.
func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	var sig signalError
	if errors.As(err, &sig) {
		return exitSignal + int(sig.Signal)
	}
	if errors.Is(err, context.Canceled) {
		return exitSignal + int(syscall.SIGINT)
	}
	for _, c := range codes {
		for _, is := range c.errs {
			if errors.Is(err, is) {
				return c.code
			}
		}
	}
	return exitFailed
}

// signalError is the cause of a run that a signal ended.
type signalError struct{ syscall.Signal }

func (s signalError) Error() string {
	if !process.Held() {
		return s.Signal.String()
	}
	return fmt.Sprintf("%v; the target runs", s.Signal)
}

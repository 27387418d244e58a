package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"ri/attach"
	"ri/change"
	"ri/instruments"
)

func TestExitCodes(t *testing.T) {
	found := []instruments.Finding{{}}
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, exitDone},
		{(&instruments.Result{}).Ended(), exitDone},
		{(&instruments.Result{Findings: found}).Ended(), exitFound},
		{(&instruments.Result{Findings: found, Partial: []string{"x"}}).Ended(), exitPartial},
		{(&instruments.Result{Findings: found, Partial: []string{"x"}, Err: errors.New("x")}).Ended(), exitFailed},
		{(&instruments.Result{Err: attach.ErrExited}).Ended(), exitFailed},
		{instruments.Said(instruments.ErrFound), exitFound},
		{instruments.Usagef("x"), exitUsage},
		{instruments.Refused(errors.New("x")), exitRefused},
		{fmt.Errorf("pid 1: %w", attach.ErrTraced), exitRefused},
		{errors.Join(fmt.Errorf("not made: %w", change.ErrConflict), errors.New("a warning")), exitConflict},
		{fmt.Errorf("not made: %w", change.ErrStale), exitConflict},
		{instruments.Refused(signalError{syscall.SIGTERM}), 128 + 15},
		{context.Canceled, 128 + 2},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
}

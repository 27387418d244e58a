package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"ri/attach"
	"ri/change"
	"ri/instruments/rows"
)

func TestExitCodes(t *testing.T) {
	found := []rows.Finding{{}}
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, exitDone},
		{(&rows.Result{}).Ended(), exitDone},
		{(&rows.Result{Findings: found}).Ended(), exitFound},
		{(&rows.Result{Findings: found, Partial: []string{"x"}}).Ended(), exitPartial},
		{(&rows.Result{Findings: found, Partial: []string{"x"}, Err: errors.New("x")}).Ended(), exitFailed},
		{(&rows.Result{Err: attach.ErrExited}).Ended(), exitFailed},
		{rows.Said(rows.ErrFound), exitFound},
		{rows.Usagef("x"), exitUsage},
		{rows.Refused(errors.New("x")), exitRefused},
		{fmt.Errorf("pid 1: %w", attach.ErrTraced), exitRefused},
		{errors.Join(fmt.Errorf("not made: %w", change.ErrConflict), errors.New("a warning")), exitConflict},
		{fmt.Errorf("not made: %w", change.ErrStale), exitConflict},
		{rows.Refused(signalError{syscall.SIGTERM}), 128 + 15},
		{context.Canceled, 128 + 2},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
}

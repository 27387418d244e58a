package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"ri/inert"
	"ri/instruments/rows"
	"ri/replay"
)

// ReplayGenerate writes the test of a recording of calls into the library of a module's folder.
func ReplayGenerate(ctx context.Context, out *rows.Output, recording, dir string) error {
	t, err := replay.Generate(ctx, recording, dir)
	if err != nil {
		return replayError(err)
	}
	for _, note := range t.Notes {
		out.Log("note: " + note)
	}
	paths, err := t.Write(recording)
	if err != nil {
		return rows.Refused(err)
	}
	if err := out.WriteText(fmt.Sprintf("wrote %s\n  run it: go test -C %s -run %s .\n", strings.Join(paths, ", "), t.Dir,
		t.Name)); err != nil {
		return err
	}
	return out.Commit()
}

// Replay makes the test of a recording of calls and runs it on the library in a module's folder, which is not changed.
// A call that differs is a finding.
func Replay(ctx context.Context, out *rows.Output, recording, dir string, flags []string) error {
	t, err := replay.Generate(ctx, recording, dir)
	if err != nil {
		return replayError(err)
	}
	for _, note := range t.Notes {
		out.Log("note: " + note)
	}
	passed, err := t.Run(ctx, recording, inert.NewWriter(os.Stderr), flags...)
	if err != nil {
		return rows.Refused(err)
	}
	verdict := "the library does what was recorded"
	if !passed {
		verdict = "the library does something else: the first call that differs stands above"
	}
	if err := out.WriteText(fmt.Sprintf("%s: %s (%s)\n", recording, verdict, t.Package)); err != nil {
		return err
	}
	if err := out.Commit(); err != nil || passed {
		return err
	}
	return rows.Said(rows.ErrFound)
}

// replayError tells what is the caller's fault.
func replayError(err error) error {
	if errors.Is(err, replay.ErrLibrary) || errors.Is(err, os.ErrNotExist) {
		return rows.Usage(err)
	}
	return rows.Refused(err)
}

package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	shellquote "github.com/kballard/go-shellquote"

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
	if err := out.WriteSaid(fmt.Sprintf("wrote %s\n  run it: go test -C %s -run %s .\n", strings.Join(paths, ", "), t.Dir,
		t.Name), rows.Of("file", recording, "wrote", rows.Texts(paths), "folder", t.Dir, "test", t.Name)); err != nil {
		return err
	}
	return out.Commit()
}

// Replay replays a recording. Of calls it makes a test and runs it on the library in a module's folder, which is not
// changed; of streams it runs the program. A call or an output that differs is a finding.
func Replay(ctx context.Context, out *rows.Output, recording string, o CallsReplay, s StreamsReplay) error {
	var err error
	if s.Options.Exec, err = shellquote.Split(s.Exec); err != nil {
		return rows.Usage(fmt.Errorf("--exec %q: %w", s.Exec, err))
	}
	if s.Pace < 0 {
		return rows.Usagef("--pace is 0 (without delay) or more: 1 is the recording's own")
	}
	if s.MayDiffer, err = s.rules(); err != nil {
		return rows.Usage(err)
	}
	if s.ClientCert, err = s.names(); err != nil {
		return rows.Usage(err)
	}
	if file := recordedStreams(recording); file != nil {
		defer file.Close()
		if o.Given {
			return rows.Usagef("%s is a recording of streams: --library and --flag are for recordings of calls", recording)
		}
		return replayStreams(ctx, out, file, recording, s)
	}
	if s.Given {
		return rows.Usagef("%s is no recording of streams, which --binary, --pace, --exec, --free-time, --free-random, "+
			"--patience, --may-differ, --rules, --as-read, --trust, --client-cert and arguments are for", recording)
	}
	return replayCalls(ctx, out, recording, o.Library, o.Flags)
}

// CallsReplay says on what a recording of calls is replayed.
type CallsReplay struct {
	Library string   // a folder of the module that has the library
	Flags   []string // for go test
	Given   bool     // somebody said one of these
}

func replayCalls(ctx context.Context, out *rows.Output, recording, dir string, flags []string) error {
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
		verdict = "it differs from what was recorded: what differs first stands above, and what wasn't there for it"
	}
	if err := out.WriteSaid(fmt.Sprintf("%s: %s (%s)\n", recording, verdict, t.Package), rows.Of("file", recording,
		"package", t.Package, "same", passed)); err != nil {
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

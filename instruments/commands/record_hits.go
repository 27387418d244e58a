package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"ri/attach/recorded"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/record"
	"ri/trace"
)

// HitsOptions says where a trace's hits are kept, and what of them.
type HitsOptions = RecordOptions

// hitKeeper keeps the hits of a trace in a recording. It is a looks.HitKeeper.
type hitKeeper struct {
	recorder *record.Recorder
	file     *os.File
	about    *recorded.Trace
	hits     *record.Hits
	err      error
	sum      *trace.Summary
	running  sync.WaitGroup
}

func (k *hitKeeper) Begin(about *recorded.Trace) (err error) {
	if k.hits != nil {
		return errors.New("a recording has the hits of one trace, and this instrument makes several")
	}
	k.about = about
	if k.hits, err = k.recorder.Hits(about, k.file); err != nil {
		k.err = err
		return fmt.Errorf("-o %s: %w", k.file.Name(), err)
	}
	k.running.Add(1)
	return nil
}

func (k *hitKeeper) Keep(h *trace.Hit) error {
	if err := k.hits.Keep(h); err != nil {
		k.err = err
		return fmt.Errorf("keeping a hit: %w", err)
	}
	return nil
}

func (k *hitKeeper) End(sum *trace.Summary) {
	k.sum = sum
	k.running.Done()
}

// close writes the end, once the trace is over.
func (k *hitKeeper) close() (*record.Header, error) {
	k.running.Wait()
	switch {
	case k.err != nil:
		return nil, k.err
	case k.hits == nil || k.sum == nil:
		return nil, errNothingTraced
	}
	return k.hits.Close(k.about, k.sum)
}

// errNothingTraced: a trace ended before it began, and who ended it says why.
var errNothingTraced = errors.New("nothing was traced")

// keepHits has a trace run whose hits are kept in a file, which appears whole or not at all. What ends the trace
// doesn't end the recording: a budget that is used up, Ctrl-C.
func keepHits(out *rows.Output, s *looks.Session, opt HitsOptions, run func(*hitKeeper) error) error {
	if opt.File == "-" {
		return rows.Usagef("-o -: hits are kept in a file of its own; rows go to stdout")
	}
	options, err := opt.redaction()
	if err != nil {
		return err
	}
	options.Version = OwnVersion()
	var ended error
	var head *record.Header
	var size, kept int64
	defer rows.Finishing()()
	err = newFile(opt.File, func(file *os.File) (err error) {
		k := &hitKeeper{recorder: record.New(s, options), file: file}
		ended = run(k)
		if head, err = k.close(); err != nil {
			return err
		}
		kept = k.hits.Kept()
		size, err = file.Seek(0, io.SeekEnd)
		return err
	})
	switch {
	case errors.Is(err, errNothingTraced) && ended != nil:
		return ended
	case errors.Is(err, errNothingTraced):
		return rows.Partial(fmt.Errorf("-o %s: it ended before anything was traced, so there is no recording", opt.File))
	case err != nil && ended != nil:
		return ended // which says it: the trace ended by it
	case err != nil:
		return err
	}
	out.Log(fmt.Sprintf("%s: %s, %s; %d texts became tokens, %s were not kept; ri trace -r %s reads it", opt.File,
		rows.Plural(kept, "hit"), rows.ShortBytes(size), head.Counts.Tokens,
		rows.ShortBytes(head.Counts.Denied+head.Counts.Unknown), opt.File))
	return ended
}

// FollowKept is Follow, and keeps the hits.
func FollowKept(ctx context.Context, out *rows.Output, p *looks.Plan, choice looks.TargetChoice,
	opt HitsOptions) error {
	s, err := looks.OpenSession(choice)
	if err != nil {
		return err
	}
	defer s.Close()
	return keepHits(out, s, opt, func(k *hitKeeper) error {
		if err := s.CheckPlan(ctx, p); err != nil {
			return err
		}
		p.Keeper = k
		return Follow(ctx, out, p, s.Stream)
	})
}

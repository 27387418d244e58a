package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"ri/attach"
	"ri/instruments/looks"
	"ri/instruments/rows"
)

// Series says that recordings are made one after the other. The zero Series is none.
type Series struct {
	Every time.Duration
	For   time.Duration // 0: until it is interrupted
}

// shortestEvery is the shortest time between two recordings: their names have seconds.
const shortestEvery = time.Second

func (s Series) check(folder string) error {
	switch {
	case s.Every == 0:
		return rows.Usagef("--for goes with --every, which says how often")
	case s.Every < shortestEvery:
		return rows.Usagef("--every %s: must be %s or more", s.Every, shortestEvery)
	case s.For < 0:
		return rows.Usagef("--for %s: must be more than 0", s.For)
	case folder == "" || folder == "-":
		return rows.Usagef("--every makes many recordings: name a folder for them (-o FOLDER)")
	}
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return rows.Usage(fmt.Errorf("-o %s: %w", folder, rows.UnwrapPath(err)))
	}
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return rows.Usagef("-o %s: is no folder, and --every makes many recordings", folder)
	}
	return nil
}

// series makes recordings until its time is over, or it is interrupted: that is how it ends, too. One that fails
// because the machine was busy, or another tracer there, is told of, and the next is tried. A recording that takes
// longer than the time to the next one has that left out.
func (r recording) series(ctx context.Context, folder string, s Series) error {
	list := []rows.Row{}
	err := r.oneByOne(ctx, folder, s, func(out *rows.Output, did madeOf) error {
		if out.Format == rows.JSON { // it is one document
			did.problems(out)
			out.Of = &rows.Result{Target: did.whole.Target}
			list = append(list, did.row())
			return nil
		}
		return reportOne(out, did)
	})
	if r.out.Format == rows.JSON && len(list) > 0 {
		err = errors.Join(err, r.out.WriteRows(nil, list))
	}
	return err
}

// oneByOne makes the recordings of a series, and has each told of.
func (r recording) oneByOne(ctx context.Context, folder string, s Series,
	report func(*rows.Output, madeOf) error) error {
	began := time.Now()
	made, failed := 0, 0
	for next := began; ; next = s.after(next, time.Now()) {
		if s.For > 0 && next.Sub(began) > s.For {
			return nil
		}
		if err := looks.Sleep(ctx, time.Until(next)); err != nil {
			return endOf(err, made)
		}
		path := filepath.Join(folder, time.Now().UTC().Format("20060102T150405Z")+".rec")
		err := r.make(ctx, path, report)
		switch {
		case err == nil:
			made, failed = made+1, 0
			continue
		case ctx.Err() != nil:
			return endOf(err, made)
		case errors.Is(err, attach.ErrExited) && made > 0:
			r.out.Log(fmt.Sprintf("%v: the series ends after %s", err, rows.Plural(int64(made), "recording")))
			return err
		}
		why := missed(err, nil)
		if failed++; why == "" || failed >= maxMissed {
			return err
		}
		r.out.Log("missed " + filepath.Base(path) + ": " + why)
	}
}

// after is when the next recording is due.
func (s Series) after(last, now time.Time) time.Time {
	for last = last.Add(s.Every); last.Before(now); last = last.Add(s.Every) {
	}
	return last
}

// endOf is how a series ends that is interrupted: well, if something was made.
func endOf(err error, made int) error {
	if made > 0 {
		return nil
	}
	return err
}

// reportOne says what one of a series is, on a line.
func reportOne(out *rows.Output, did madeOf) error {
	did.problems(out)
	return out.WriteSaid(fmt.Sprintf("%s: %s, %s\n", did.path, rows.ShortBytes(did.size),
		stopText(attach.Stats(did.whole.Stats))), did.row())
}

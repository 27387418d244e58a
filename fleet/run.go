package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"time"

	"ri/instruments/rows"
	"ri/ovsdb/client"
)

// States of a run.
const (
	Running   = "running"
	Done      = "done"
	Cancelled = "cancelled"
)

// begin writes the run down, and has it end when it is cancelled.
func (s *asking) begin(ctx context.Context, cancel context.CancelCauseFunc) error {
	text, err := json.Marshal(s.q)
	if err != nil {
		return err
	}
	s.author = "nobody"
	if s.Identity != nil {
		s.author = s.Identity.Name
	} else if u, err := user.Current(); err == nil {
		host, _ := os.Hostname()
		s.author = u.Username + "@" + host
	}
	targets := []string{}
	if s.q.Write { // whatever becomes of who asks, they can be found again
		for _, o := range s.report.Outcomes {
			targets = append(targets, o.ID)
		}
	}
	run := row("id", s.run, "whole", "", "author", s.author, "certificate", "", "signature", "", "created",
		s.now().UnixMilli(), "expires", s.ends.UnixMilli(), "request", string(text), "hosts", []string{}, "targets",
		targets, "state", Running, "totals", map[string]int64{}, "digest", digest(text), "cancel", "")
	if s.Identity != nil {
		if err := sign(s.Identity, runTable, run); err != nil {
			return err
		}
	}
	if _, _, err := s.client.Once(ctx, runTable, "id", s.run, insert(runTable, run)[1]); err != nil {
		return rows.Refused(fmt.Errorf("the run can't be written down: %w", err))
	}
	s.written = run
	own, err := s.client.Monitor(ctx, map[string]client.Watch{runTable: {Where: is("id", s.run)}})
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, own.Close)
	go func() {
		for {
			changes, err := own.Next(ctx)
			if err != nil {
				return
			}
			for _, c := range changes {
				if c.New == nil || c.New["cancel"].Text() == "" {
					continue
				}
				who, err := s.canceller(c.New["cancel"].Text(), s.run)
				if err != nil {
					s.Say("somebody would cancel the run, and may not: " + err.Error())
					continue
				}
				cancel(fmt.Errorf("%w by %s", ErrCancelled, who))
			}
		}
	}()
	return nil
}

// soon is how long somebody waits who has interrupted a run, or isn't told why nothing goes on.
const soon = 2 * time.Second

// finish writes down how the run ended. Who asks may not want to wait for that.
func (s *asking) finish(life, asker context.Context, interrupted bool) {
	patience := s.Database.insisting()
	if interrupted {
		patience = soon
	}
	ctx, stop := context.WithTimeout(life, patience)
	defer stop()
	if !interrupted {
		defer context.AfterFunc(asker, stop)()
		defer time.AfterFunc(soon, func() {
			s.Say(fmt.Sprintf("all have ended; how can't be written down while the database doesn't answer: "+
				"trying for %s, or until Ctrl-C",
				rows.ShortDuration(patience)))
		}).Stop()
	}
	totals := s.report.Totals()
	state := Done
	if interrupted || s.stopped != "" || totals[NotAsked] > 0 {
		state = Cancelled
	}
	r, columns := row("id", s.run, "state", state, "totals", maps.Clone(totals)), []string{"state", "totals"}
	if s.q.Write {
		if err := s.asked(); err != nil {
			s.Say("which targets were asked could not be signed: " + err.Error())
		} else {
			columns = append(columns, "targets", "certificate", "signature")
			for _, name := range columns[2:] {
				r[name] = s.written[name]
			}
		}
	}
	now := s.now()
	old := remove(runTable, []any{[]any{"created", "<", now.Add(-kept).UnixMilli()}})
	// Orders of who died are of no use any more.
	orphans := remove(runTable, []any{[]any{"expires", "<", now.Add(-2 * skew).UnixMilli()}, []any{"whole", "!=", ""}})
	if _, err := s.client.Repeat(ctx, update(runTable, r, columns...), old, orphans); err != nil {
		s.Say("how the run ended could not be written down: " + err.Error())
	}
}

// asked leaves in the run those targets that may have been changed.
func (s *asking) asked() error {
	targets := []string{}
	for _, o := range s.report.Outcomes {
		if o.State != NotAsked {
			targets = append(targets, o.ID)
		}
	}
	s.written["targets"] = row("targets", targets)["targets"]
	if s.Identity == nil {
		return nil
	}
	return sign(s.Identity, runTable, s.written)
}

// kept is how long runs are kept.
const kept = 90 * 24 * time.Hour

var errNotYours = errors.New("a run is cancelled by its author, or by an operator")

// canceller says who cancels a run.
func (a *Asker) canceller(text, run string) (string, error) {
	if a.Identity == nil {
		return text, nil // nobody knows who writes to the database
	}
	var c cancellation
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return "", errNotYours
	}
	who, err := a.Identity.Signer(c.Certificate, cancelText(run), c.Signature)
	if err != nil {
		return "", err
	}
	if who.Name != a.Identity.Name && who.Kind != "operator" {
		return "", fmt.Errorf("%s is %s: %w", who.Name, who.Kind, errNotYours)
	}
	return who.Name, nil
}

type cancellation struct{ Certificate, Signature []byte }

func cancelText(run string) []byte { return []byte("ri cancel " + run) }

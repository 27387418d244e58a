package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ri/instruments/rows"
	"ri/ovsdb"
	"ri/serve/request"
)

// Conflicts tells whether what was to be changed wasn't what it should be.
func (o *Outcome) Conflicts() bool { return o.State == Refused && o.Code == exitConflict }

// Undo gives the question that takes back what a run has changed. Each change is found by the run's id in the journal
// where it was made, so who asked need not have lived to see the end.
//
// A run that is under way is cancelled first.
func (a *Asker) Undo(ctx context.Context, id string, force bool) (*Question, error) {
	life, stop := context.WithCancel(ctx)
	defer stop()
	c, err := a.Database.ask(life)
	if err != nil {
		return nil, rows.Refused(err)
	}
	r, err := one(life, c, id)
	if err != nil {
		return nil, err
	}
	id = r["id"].Text()
	was, err := question(r)
	switch {
	case err != nil:
		return nil, err
	case !was.Write:
		return nil, rows.Refused(fmt.Errorf("run %s changed nothing: it asked ri fleet %s, without --write", id, was.Text()))
	}
	a.Say(fmt.Sprintf("run %s of %s, %s: ri fleet %s", id, r["author"].Text(),
		time.UnixMilli(r["created"].Int()).Format(time.DateTime), was.Text()))
	if a.Identity != nil {
		_, _, err := signer(a.Identity, runTable, r)
		switch {
		case errors.Is(err, errUnsigned):
			a.Say(fmt.Sprintf("run %s isn't signed: that these are the targets which it changed, the database alone says", id))
		case err != nil:
			return nil, rows.Refused(fmt.Errorf("run %s isn't as it was asked: %w", id, err))
		}
	}
	if a.stateOf(r) == Running {
		if _, err := a.cancel(life, id, undoing); errors.Is(err, errNotYours) || life.Err() != nil {
			return nil, err
		} else if err != nil {
			a.Say(fmt.Sprintf("run %s hasn't ended, and who asks doesn't answer: what it has changed so far is taken back", id))
		}
		if r, err = one(life, c, id); err != nil {
			return nil, err
		}
	}
	// Orders of who died aren't followed any more.
	if _, err := c.Repeat(life, remove(runTable, is("whole", id))); err != nil {
		return nil, err
	}
	q := &Question{Command: []string{"undo"}, Flags: []request.Flag{{Name: "labelled", Value: id}}, Undoes: id,
		Only: list(r["targets"])}
	if force {
		q.Flags = append(q.Flags, request.Flag{Name: "force", Value: "true"})
	}
	if len(q.Only) == 0 {
		return nil, rows.Refused(fmt.Errorf("run %s asked no target, so there is nothing to undo", id))
	}
	return q, nil
}

// undoing is how long a run may take to end that is to be undone.
const undoing = 3 * time.Second

// only keeps the outcomes of some targets. With all, those that the database has no more come after them, as gone.
func (c *census) only(outcomes []*Outcome, ids []string, all bool) (out []*Outcome) {
	meant, there := map[string]bool{}, map[string]bool{}
	for _, id := range ids {
		meant[id] = true
	}
	for _, o := range outcomes {
		if meant[o.ID] {
			out, there[o.ID] = append(out, o), true
		}
	}
	if !all {
		return out
	}
	for _, id := range ids {
		if there[id] {
			continue
		}
		parts := strings.Split(id, "/")
		o := &Outcome{ID: id, lost: "it has ended: its agent tells of it no more", host: c.hosts[parts[0]]}
		if len(parts) > 1 {
			o.Target = "pid " + parts[1]
		}
		if o.host == nil {
			o.lost = "its host has left: no agent tells of it"
			o.host = &host{row: ovsdb.Row{}, id: parts[0], name: parts[0], state: Gone}
		}
		o.Host = o.host.name
		out = append(out, o)
	}
	return out
}

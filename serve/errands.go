package serve

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"ri/ovsdb/wire"
	"ri/serve/request"
	"ri/serve/worker"
)

// errands are what a request's worker has the agent do. They come one after the other.
type errands struct{ run *run }

// May implements worker.Accounts.
func (e errands) May(wish time.Duration) (granted, had time.Duration) { return e.run.share.May(wish) }

// Took implements worker.Accounts.
func (e errands) Took(took time.Duration) { e.run.share.Took(took) }

// Do implements worker.Accounts.
func (e errands) Do(asked worker.Errand) (done worker.Done) {
	var err error
	switch {
	case asked.Save != "":
		err = e.run.save(asked.Save, asked.Text)
	case asked.Load != "":
		done.Path = e.run.asked.Absolute(asked.Load)
		done.Files, err = e.run.load(asked.Load)
	case asked.Turn != "":
		if err = e.run.turn(asked.Turn); err == nil {
			done.PID = e.run.asked.Target()
		}
	default:
		err = request.ErrMalformed
	}
	if err != nil {
		done.Err = err.Error()
	}
	return done
}

// save has a file be made at who asked.
func (o *run) save(path string, text []byte) error {
	if o.kept != nil {
		return errors.New("nobody is there to keep it")
	}
	_, err := o.session.peer.Call(o.session.ctx, request.Save, o.id, o.asked.Absolute(path), request.Bytes(text))
	return answered(err)
}

// answered is what who asked has said, for people.
func answered(err error) error {
	var failure *wire.Failure
	if errors.As(err, &failure) {
		switch why, _ := failure.JSON.(string); why {
		case "unknown method":
			return errors.New("the ri where you type is older, and can't do that")
		case "":
		default:
			return errors.New(why)
		}
	}
	return err
}

// load has a script come from who asked, with what it requires. The worker puts it where it belongs: that folder is its
// own user's, and the agent follows no link in it.
func (o *run) load(path string) (came []worker.File, err error) {
	if o.kept != nil {
		return nil, errors.New("nobody is there to send it")
	}
	answer, err := o.session.peer.Call(o.session.ctx, request.Load, o.id, o.asked.Absolute(path))
	if err != nil {
		return nil, answered(err)
	}
	var list []request.Named
	if err := request.Into(answer, &list); err != nil {
		return nil, err
	}
	for _, f := range list {
		came = append(came, worker.File{Path: f.Path, Text: f.Data})
	}
	return came, nil
}

// turn has the request be about another process from now on, if it might have been asked so. What was until now is
// written down.
func (o *run) turn(target string) error {
	s, next := o.session, *o.asked
	next.Flags, next.Args, next.Began = slices.Clone(next.Flags), slices.Clone(next.Args), 0
	next.Name(target)
	err := s.stillGood()
	if err == nil {
		err = found(&next)
	}
	if err == nil {
		err = next.Allowed(s.caller.role)
	}
	if err == nil {
		err = next.Within(s.agent.Only)
	}
	if err != nil {
		refusal := o.entry()
		refusal.Time, refusal.Request, refusal.Code, refusal.Why = time.Now(), next.Text(), refused, err.Error()
		refusal.Took, refusal.Stopped, refusal.Bytes = 0, 0, 0
		s.agent.note(refusal)
		return err
	}
	o.stopped = o.share.end(false)
	past := o.entry()
	past.Why = fmt.Sprintf("it went on with process %s", next.Target())
	s.agent.note(past)
	o.asked, o.begun, o.stopped, o.before = &next, time.Now(), 0, o.sent.Load()
	o.charge()
	return nil
}

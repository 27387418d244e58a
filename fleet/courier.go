package fleet

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"ri/instruments/rows"
	"ri/ovsdb"
	"ri/ovsdb/client"
	serveclient "ri/serve/client"
	"ri/serve/pki"
)

// courier asks agents by rows in the database: a Run for each target, so that no agent sees what others are asked, and
// what was agreed on of canaries and budgets holds here as well.
type courier struct {
	mu      sync.Mutex
	waiting map[string]chan ovsdb.Row // by the id of the answer
}

// couriers gives the run's courier, which watches what is answered to the run.
func (s *asking) couriers(ctx context.Context) (*courier, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.courier != nil {
		return s.courier, nil
	}
	answers, err := s.client.Monitor(ctx, map[string]client.Watch{answerTable: {Where: is("run", s.run)}})
	if err != nil {
		return nil, err
	}
	c := &courier{waiting: map[string]chan ovsdb.Row{}}
	s.courier = c
	context.AfterFunc(ctx, answers.Close)
	go func() {
		for {
			list, err := answers.Next(ctx)
			if err != nil {
				return
			}
			for _, change := range list {
				if change.New == nil {
					continue
				}
				c.mu.Lock()
				to := c.waiting[change.New["id"].Text()]
				c.mu.Unlock()
				if to != nil { // the last that is known is what counts, and nobody waits for who reads it
					select {
					case <-to:
					default:
					}
					to <- change.New
				}
			}
		}
	}()
	return c, nil
}

// byRow asks a target whose agent can't be called, by a signed row that the agent watches.
func (s *asking) byRow(ctx context.Context, o *Outcome, left time.Duration, why error) {
	uncalled := "its agent can't be called (" + why.Error() + ")"
	switch {
	case s.Identity == nil:
		o.end(Gone, uncalled+"; by way of the database it can be asked by who has a certificate (--tls FILE)")
		return
	case o.host.signed == "":
		o.end(Gone, uncalled+", and has no certificate by which it could be asked by way of the database")
		return
	}
	o.ByRow = true
	c, err := s.couriers(ctx)
	if err != nil {
		o.end(NotAsked, "the database: "+err.Error())
		return
	}
	order, err := s.order(o, left)
	if err != nil {
		o.end(NotAsked, err.Error())
		return
	}
	id := order["id"].Text() + "/" + o.ID
	answers := make(chan ovsdb.Row, 1)
	c.mu.Lock()
	c.waiting[id] = answers
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
		s.takeBack(ctx, order["id"].Text(), id)
	}()
	asking, stop := context.WithTimeoutCause(ctx, left+grace, errLate)
	defer stop()
	if _, _, err := s.client.Once(asking, runTable, "id", order["id"].Text(), insert(runTable, order)[1]); err != nil {
		o.end(NotAsked, "the order can't be written: "+err.Error())
		return
	}
	noticing := min(s.Database.insisting(), left) // its server may have died, and another not answer at first
	taken := time.NewTimer(noticing)
	defer taken.Stop()
	forged := ""
	for {
		select {
		case answer := <-answers:
			if err := s.believe(o, answer); err != nil {
				forged = "; an answer that isn't its agent's was there: " + err.Error()
				continue
			}
			taken.Stop()
			if answer["state"].Text() != Running {
				s.deliver(asking, o, id, answer)
				return
			}
		case <-taken.C:
			o.end(Gone, uncalled+fmt.Sprintf(", and has taken no order by way of the database within %s",
				rows.ShortDuration(noticing))+forged)
			return
		case <-asking.Done():
			if ctx.Err() != nil {
				o.end(TimedOut, s.ended(ctx)+forged)
			} else {
				o.end(TimedOut, fmt.Sprintf("no answer within %s", rows.ShortDuration(left+grace))+forged)
			}
			return
		}
	}
}

// order makes the signed row by which a target is asked.
func (s *asking) order(o *Outcome, left time.Duration) (ovsdb.Row, error) {
	asked := s.request(o, left)
	if err := serveclient.Gather(asked); err != nil {
		return nil, err
	}
	q := *s.q
	q.Where = nil
	order := Order{Question: &q, Files: asked.Files, Folder: asked.Folder, Env: asked.Env}
	if s.q.Keep != "" {
		order.Output = filepath.Join(s.q.Keep, o.File)
	}
	text, err := json.Marshal(order)
	if err != nil {
		return nil, err
	}
	if len(text) > mostOrder {
		return nil, fmt.Errorf("the files that it needs have more than %d bytes, the most by way of the database", mostOrder)
	}
	now := s.now()
	r := row("id", ovsdb.NewUUID().String(), "whole", s.run, "author", s.Identity.Name, "certificate", "", "signature", "",
		"created", now.UnixMilli(), "expires", now.Add(left).UnixMilli(), "request", ovsdb.CleanString(string(text)),
		"hosts", []string{o.host.id}, "targets", []string{o.ID}, "state", Running, "totals", map[string]int64{},
		"digest", digest(text), "cancel", "")
	return r, sign(s.Identity, runTable, r)
}

// believe refuses an answer that isn't of the target's agent.
func (s *asking) believe(o *Outcome, answer ovsdb.Row) error {
	who, _, err := signer(s.Identity, answerTable, answer)
	switch {
	case err != nil:
		return err
	case pki.IsAgent(who) != nil:
		return pki.IsAgent(who)
	case who.Name != o.host.signed || answer["host"].Text() != o.host.id || answer["target"].Text() != o.ID:
		return fmt.Errorf("%w: %s answers for %s", pki.ErrForged, who.Name, o.host.signed)
	}
	return nil
}

// deliver reads what an agent has answered.
func (s *asking) deliver(ctx context.Context, o *Outcome, id string, answer ovsdb.Row) {
	text, err := s.results(ctx, id, int(answer["pieces"].Int()))
	if err == nil && answer["digest"].Text() != "" && digest(text) != answer["digest"].Text() {
		err = errors.New("it isn't what its agent signed")
	}
	if err != nil {
		o.end(Refused, "its answer can't be read: "+err.Error())
		return
	}
	text, file, made := bytes.Cut(text, []byte{0})
	if made && s.q.Keep != "" {
		if err := keep(filepath.Join(s.q.Keep, o.File), file); err != nil {
			o.end(Refused, "its file can't be written: "+err.Error())
			return
		}
	}
	t := &taker{s: s, o: o}
	_, _ = t.Write(text) // no row is longer than an answer may be
	t.end()
	o.Code, o.Stopped = int(answer["code"].Int()), min(max(time.Duration(answer["stopped"].Int()), 0), longestExpire)
	state := answer["state"].Text()
	if !slices.Contains(Endings, state) || state == NotAsked {
		state = Refused
	}
	o.end(state, answer["why"].Text())
}

func (s *asking) results(ctx context.Context, id string, pieces int) ([]byte, error) {
	if pieces == 0 {
		return nil, nil
	}
	if pieces < 0 || pieces > (mostAnswer+mostFile)/pieceOf+1 {
		return nil, fmt.Errorf("it has %d pieces", pieces)
	}
	got, err := s.client.Repeat(ctx, client.Op{"op": "select", "table": resultTable, "where": is("target", id),
		"columns": []string{"id", "data"}})
	if err != nil {
		return nil, err
	}
	data := map[string]string{}
	for _, r := range got[0].Rows {
		name, _ := r["id"].(string)
		data[name], _ = r["data"].(string)
	}
	var all []byte
	for n := range pieces {
		name := fmt.Sprintf("%s/%d", id, n)
		sealed, err := base64.StdEncoding.DecodeString(data[name])
		if err != nil {
			return nil, err
		}
		piece, err := s.Identity.Unseal(sealed, name)
		if err != nil {
			return nil, fmt.Errorf("piece %d of %d: %w", n+1, pieces, err)
		}
		all = append(all, piece...)
	}
	return all, nil
}

// takeBack deletes an order, which ends it where it is being followed, and what was answered.
func (s *asking) takeBack(ctx context.Context, order, answer string) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), s.Database.insisting())
	defer stop()
	_, err := s.client.Repeat(ctx, remove(runTable, is("id", order)), remove(answerTable, is("id", answer)),
		remove(resultTable, is("target", answer)))
	if err != nil {
		s.Say("an order could not be taken back; it expires by itself: " + err.Error())
	}
}

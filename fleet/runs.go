package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ri/instruments/rows"
	"ri/ovsdb"
	"ri/ovsdb/client"
	"ri/serve/request"
)

// lostRun is a run whose asker has died: its time is over, and it says that it is running.
const lostRun = "lost"

// Text is the question as a person would have typed it.
func (q *Question) Text() string {
	words := slices.Clone(q.Command)
	for _, a := range slices.Concat(q.Args, q.After) {
		words = append(words, quoted(a))
	}
	if q.Undoes != "" {
		words = append(words, q.Undoes)
	}
	for _, f := range q.Flags {
		if f.Name == "labelled" && q.Undoes != "" {
			continue
		}
		words = append(words, "--"+f.Name+"="+quoted(f.Value))
	}
	for _, w := range q.Where {
		words = append(words, "--where "+quoted(w))
	}
	if q.Write {
		words = append(words, "--write")
	}
	if q.DryRun {
		words = append(words, "--dry-run")
	}
	if q.Canary > 0 {
		words = append(words, fmt.Sprintf("--canary %d", q.Canary))
	}
	for name, d := range map[string]time.Duration{"max-stop-total": q.MaxStopTotal, "timeout": q.Timeout} {
		if d > 0 {
			words = append(words, "--"+name+" "+d.String())
		}
	}
	return strings.Join(words, " ")
}

func quoted(text string) string {
	if strings.ContainsAny(text, " '\"$&|;<>()*?!\\\t\n") || text == "" {
		return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	return text
}

// history reads the runs, the newest first.
func history(ctx context.Context, c *client.Client) ([]ovsdb.Row, error) {
	all, err := read(ctx, c, map[string]client.Watch{runTable: {Where: is("whole", "")}})
	if err != nil {
		return nil, err
	}
	runs := all[runTable]
	slices.SortFunc(runs, func(x, y ovsdb.Row) int {
		return cmp.Or(cmp.Compare(y["created"].Int(), x["created"].Int()), strings.Compare(x["id"].Text(), y["id"].Text()))
	})
	return runs, nil
}

func (a *Asker) stateOf(r ovsdb.Row) string {
	if r["state"].Text() == Running && a.now().After(time.UnixMilli(r["expires"].Int()).Add(skew)) {
		return lostRun
	}
	return r["state"].Text()
}

// question reads what a run asked.
func question(r ovsdb.Row) (*Question, error) {
	q := &Question{}
	if err := json.Unmarshal([]byte(r["request"].Text()), q); err != nil {
		return nil, fmt.Errorf("what run %s asked can't be read: %w", r["id"].Text(), err)
	}
	return q, nil
}

// history reads the runs once, the newest first.
func (a *Asker) history(ctx context.Context) ([]ovsdb.Row, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c, err := a.Database.ask(ctx)
	if err != nil {
		return nil, rows.Refused(err)
	}
	return history(ctx, c)
}

// Runs lists what was asked.
func (a *Asker) Runs(ctx context.Context) (*rows.Result, error) {
	runs, err := a.history(ctx)
	if err != nil {
		return nil, err
	}
	r := &rows.Result{Columns: []rows.Column{{Name: "run", Key: rows.KeyAlone, Whole: true}, {Name: "author"},
		{Name: "created", Type: rows.ColumnTime}, {Name: "state"}, {Name: "targets", Type: rows.ColumnInt},
		{Name: "answered", Type: rows.ColumnInt}, {Name: "question"}}}
	for _, run := range runs {
		asked := "?"
		if q, err := question(run); err == nil {
			asked = q.Text()
		}
		sum, totals := int64(0), numbers(run["totals"])
		for _, n := range totals {
			sum += n
		}
		r.Rows = append(r.Rows, rows.Of("run", run["id"].Text(), "author", run["author"].Text(),
			"created", time.UnixMilli(run["created"].Int()), "state", a.stateOf(run), "targets", sum,
			"answered", totals[Answered], "question", asked))
	}
	return r, nil
}

// one reads the runs, and gives the one of which the id begins so.
func one(ctx context.Context, c *client.Client, id string) (ovsdb.Row, error) {
	runs, err := history(ctx, c)
	if err != nil {
		return nil, err
	}
	return find(runs, id)
}

// find gives the run of which the id begins so.
func find(runs []ovsdb.Row, id string) (ovsdb.Row, error) {
	var found []ovsdb.Row
	for _, r := range runs {
		if strings.HasPrefix(r["id"].Text(), id) && id != "" {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return nil, rows.Refused(fmt.Errorf("no run has an id that begins with %s (ri fleet runs lists them)",
			rows.QuoteName(id)))
	case 1:
		return found[0], nil
	}
	return nil, rows.Refused(fmt.Errorf("%d runs have ids that begin with %s: give more of it", len(found),
		rows.QuoteName(id)))
}

// asked gives the run of which the id begins so, and its question.
func (a *Asker) asked(ctx context.Context, id string) (ovsdb.Row, *Question, error) {
	runs, err := a.history(ctx)
	if err != nil {
		return nil, nil, err
	}
	r, err := find(runs, id)
	if err != nil {
		return nil, nil, err
	}
	q, err := question(r)
	return r, q, err
}

// Show gives one run.
func (a *Asker) Show(ctx context.Context, id string) (rows.Row, error) {
	runs, err := a.history(ctx)
	if err != nil {
		return nil, err
	}
	r, err := find(runs, id)
	if err != nil {
		return nil, err
	}
	q, err := question(r)
	if err != nil {
		return nil, err
	}
	out := rows.Of("run", r["id"].Text(), "author", r["author"].Text(), "signed", a.signedBy(r), "state", a.stateOf(r),
		"created", time.UnixMilli(r["created"].Int()), "expires", time.UnixMilli(r["expires"].Int()), "question", q.Text(),
		"again", orNil(q.Again), "undoes", orNil(q.Undoes))
	for _, other := range runs {
		if later, err := question(other); err == nil && later.Write && later.Undoes == r["id"].Text() {
			out = append(out, rows.Cell{Name: "undone", Value: "by run " + other["id"].Text()})
		}
	}
	totals := numbers(r["totals"])
	for _, state := range Endings {
		out = append(out, rows.Cell{Name: strings.ReplaceAll(state, " ", "_"), Value: totals[state]})
	}
	return append(out, rows.Cell{Name: "digest", Value: r["digest"].Text()}), nil
}

// signedBy says whether a run is its author's.
func (a *Asker) signedBy(r ovsdb.Row) any {
	if a.Identity == nil {
		return nil
	}
	who, _, err := signer(a.Identity, runTable, r)
	if err != nil {
		return "no: " + err.Error()
	}
	return "by " + who.Name + ", " + who.Kind
}

// Cancel ends a run, wherever it was begun, and waits until it has ended.
func (a *Asker) Cancel(ctx context.Context, id string) (string, error) {
	return a.cancel(ctx, id, cancelling)
}

func (a *Asker) cancel(ctx context.Context, id string, patience time.Duration) (string, error) {
	life, stop := context.WithCancel(ctx)
	defer stop()
	c, err := a.Database.ask(life)
	if err != nil {
		return "", rows.Refused(err)
	}
	r, err := one(life, c, id)
	if err != nil {
		return "", err
	}
	id = r["id"].Text()
	if state := a.stateOf(r); state != Running {
		return "", rows.Refused(fmt.Errorf("run %s isn't under way: %s", id, state))
	}
	text := "somebody"
	if a.Identity != nil {
		s, err := a.Identity.Sign(cancelText(id))
		if err != nil {
			return "", err
		}
		j, err := json.Marshal(cancellation{a.Identity.Certificate(), s})
		if err != nil {
			return "", err
		}
		text = string(j)
		if a.Identity.Name != r["author"].Text() && a.Identity.Kind != request.Operator.String() {
			return "", rows.Refused(fmt.Errorf("%w: it is of %s", errNotYours, strconv.Quote(r["author"].Text())))
		}
	}
	m, err := c.Monitor(life, map[string]client.Watch{runTable: {Where: is("id", id)}})
	if err != nil {
		return "", err
	}
	defer m.Close()
	if _, err := c.Repeat(life, update(runTable, row("id", id, "cancel", text), "cancel")); err != nil {
		return "", err
	}
	waiting, stop := context.WithTimeoutCause(life, patience, fmt.Errorf("run %s was told, and hasn't ended within %s: "+
		"who asks may be gone, or doesn't take it from you", id, patience))
	defer stop()
	for {
		for _, now := range m.Rows(runTable) {
			if now["state"].Text() != Running {
				return id, nil
			}
		}
		if _, err := m.Next(waiting); err != nil {
			return "", err
		}
	}
}

// cancelling is how long a run may take to end once it is cancelled.
const cancelling = 10 * time.Second

// Again gives the question of a run, to be asked again. It must be one's own: whoever can write to the database could
// have another question asked with one's rights else.
func (a *Asker) Again(ctx context.Context, id string) (*Question, error) {
	r, q, err := a.asked(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := a.own(r); err != nil {
		return nil, rows.Refused(fmt.Errorf("run %s: %w; it asked: ri fleet %s", r["id"].Text(), err, q.Text()))
	}
	if q.Undoes != "" {
		return nil, rows.Refused(fmt.Errorf("run %s took back run %s: ri fleet undo %s does it again", r["id"].Text(),
			q.Undoes, q.Undoes))
	}
	if slices.Equal(q.Command, []string{"record"}) {
		return nil, rows.Refused(fmt.Errorf("run %s made recordings, which are made anew into another folder: ri fleet %s "+
			"-o FOLDER", r["id"].Text(), q.Text()))
	}
	q.Again = r["id"].Text()
	return q, nil
}

func (a *Asker) own(r ovsdb.Row) error {
	if a.Identity == nil {
		return errors.New("who has no certificate can't know that it is as it was asked")
	}
	who, _, err := signer(a.Identity, runTable, r)
	if err == nil && who.Name != a.Identity.Name {
		err = fmt.Errorf("%s asked it, and who it is asked by decides what may be done", who.Name)
	}
	return err
}

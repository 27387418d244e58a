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
	"strconv"
	"strings"
	"sync"
	"time"

	"ri/ovsdb"
	"ri/ovsdb/client"
	serveclient "ri/serve/client"
	"ri/serve/method"
	"ri/serve/pki"
	"ri/serve/request"
)

// An order is a Run of the database that an agent is named in: signed by its author, who can't call the agent. Its
// request is an Order as JSON.

// Order is what is to be done by who can't be called.
type Order struct {
	Question *Question
	Files    []request.Named `json:",omitempty"` // that the command names
	Output   string          `json:",omitempty"` // the file that it makes, which comes back with the answer
	Folder   string
	Env      []string `json:",omitempty"`
}

// Why an order isn't followed.
var (
	errReplay  = errors.New("replay: an order of this id was followed, or refused, before")
	errOver    = errors.New("expired")
	errClock   = errors.New("clock")
	errAltered = errors.New("not of this agent")
)

// diedAtIt is why nothing came of an order that an agent had taken before it was started anew.
const diedAtIt = "the agent ended while it was at it"

// Limits of orders.
const (
	ordersAtOnce = 4
	mostOrders   = 64 // that wait
	mostAnswer   = 1 << 20
	mostFile     = 4 << 20 // that comes with it
	pieceOf      = 128 << 10
	mostOrder    = 1 << 20
	mostTargets  = 4096
)

// orders are those that come to an agent by the database.
type orders struct {
	m    *Member
	seen *seen
	room chan struct{}
	all  sync.WaitGroup
	life context.Context // the agent's

	mu      sync.Mutex
	began   map[ovsdb.UUID]context.CancelFunc // by the row
	waiting int
}

func newOrders(m *Member) (*orders, error) {
	s, err := openSeen(filepath.Join(m.Folder, seenFile), m.now())
	if err != nil {
		return nil, fmt.Errorf("which orders were seen before: %w", err)
	}
	return &orders{m: m, seen: s, room: make(chan struct{}, ordersAtOnce),
		began: map[ovsdb.UUID]context.CancelFunc{}}, nil
}

// watch follows what is ordered, until the context ends or something fails.
func (o *orders) watch(ctx context.Context) error {
	o.life = ctx
	runs, err := o.m.client.Monitor(ctx, map[string]client.Watch{
		runTable:    {Where: []any{[]any{"hosts", "includes", o.m.id}}},
		answerTable: {Columns: []string{"id", "host", "expires"}, Where: is("host", o.m.id)}})
	if err != nil {
		return err
	}
	defer runs.Close()
	o.missed(runs.Rows(runTable))
	sweep := time.NewTicker(sweeping)
	defer sweep.Stop()
	changes, failed := make(chan []client.Change), make(chan error, 1)
	go func() {
		for {
			list, err := runs.Next(ctx)
			if err != nil {
				failed <- err
				return
			}
			select {
			case changes <- list:
			case <-ctx.Done():
			}
		}
	}()
	for {
		select {
		case err := <-failed:
			return err
		case list := <-changes:
			for _, c := range list {
				if c.Table == runTable {
					o.change(ctx, c)
				}
			}
		case <-sweep.C:
			o.sweep(ctx, runs)
		}
	}
}

// missed ends the orders that were taken back while nobody watched.
func (o *orders) missed(there map[ovsdb.UUID]ovsdb.Row) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, end := range o.began {
		if there[id] == nil {
			end()
			delete(o.began, id)
		}
	}
}

// sweeping is how often answers are looked through that nobody has read.
const sweeping = 30 * time.Second

// sweep takes away what was answered to runs that are over: who asked reads its answers, if it lives.
func (o *orders) sweep(ctx context.Context, rows *client.Monitor) {
	var ops []client.Op
	for _, r := range rows.Rows(answerTable) {
		if r["expires"].Int()+skew.Milliseconds() < o.m.now().UnixMilli() {
			ops = append(ops, o.forget(r["id"].Text())...)
		}
	}
	if len(ops) > 0 {
		_, _ = o.m.client.Transact(ctx, ops...)
	}
}

func (o *orders) forget(answer string) []client.Op {
	return []client.Op{remove(answerTable, is("id", answer)),
		remove(resultTable, []any{[]any{"target", "==", answer}, []any{"host", "==", o.m.id}})}
}

// change takes an order that came, or ends one that was taken back.
func (o *orders) change(ctx context.Context, c client.Change) {
	o.mu.Lock()
	end, begun := o.began[c.ID]
	o.mu.Unlock()
	switch {
	case c.New == nil:
		if begun {
			end()
			o.mu.Lock()
			delete(o.began, c.ID)
			o.mu.Unlock()
		}
		return
	case begun && c.New["cancel"].Text() != "":
		end()
		return
	case begun:
		return
	}
	run, stop := context.WithCancel(ctx)
	o.mu.Lock()
	o.began[c.ID] = stop
	o.waiting++
	full := o.waiting > mostOrders
	o.mu.Unlock()
	o.all.Go(func() {
		defer stop()
		defer func() {
			o.mu.Lock()
			o.waiting--
			o.mu.Unlock()
		}()
		o.follow(run, c.New, full)
	})
}

// verify says who ordered, and what, or why nothing is done.
func (o *orders) verify(r ovsdb.Row) (who pki.Holder, certificate []byte, order *Order, err error) {
	who, certificate, err = signer(o.m.Identity, runTable, r)
	if err != nil {
		return who, nil, nil, err
	}
	if err := pki.IsAsker(who); err != nil {
		return who, nil, nil, err
	}
	if r["author"].Text() != who.Name {
		return who, nil, nil, fmt.Errorf("%w: it says that %s wrote it, and %s signed it", pki.ErrForged, r["author"].Text(),
			who.Name)
	}
	id, now := r["id"].Text(), o.m.now()
	created, expires := time.UnixMilli(r["created"].Int()), time.UnixMilli(r["expires"].Int())
	if !slices.Contains(list(r["hosts"]), o.m.id) {
		return who, nil, nil, errAltered
	}
	if o.seen.has(id) {
		return who, nil, nil, errReplay
	}
	switch {
	case !now.Before(expires):
		return who, nil, nil, fmt.Errorf("%w at %s, and by this clock it is %s", errOver, expires.UTC().Format(time.RFC3339),
			now.UTC().Format(time.RFC3339))
	case now.Sub(created).Abs() > skew:
		return who, nil, nil, fmt.Errorf("%w: it was made at %s, and by this clock it is %s: more than %s apart", errClock,
			created.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), skew)
	case expires.Sub(created) > longestExpire:
		return who, nil, nil, fmt.Errorf("it is good for more than %s", longestExpire)
	}
	text := r["request"].Text()
	if len(text) > mostOrder {
		return who, nil, nil, fmt.Errorf("its request has more than %d bytes", mostOrder)
	}
	order = &Order{}
	if err := json.Unmarshal([]byte(text), order); err != nil {
		return who, nil, nil, fmt.Errorf("its request: %w", err)
	}
	if order.Question == nil {
		return who, nil, nil, errors.New("its request asks nothing")
	}
	// Nothing of it is done before it is written down that it was seen.
	return who, certificate, order, o.seen.add(id, expires.Add(2*skew), now)
}

// follow does an order, or says why not.
func (o *orders) follow(ctx context.Context, r ovsdb.Row, full bool) {
	who, certificate, order, err := o.verify(r)
	if err == nil && full {
		err = fmt.Errorf("more than %d orders wait here", mostOrders)
	}
	var all sync.WaitGroup
	defer all.Wait()
	targets := list(r["targets"])
	if len(targets) > mostTargets {
		o.m.Say(fmt.Sprintf("an order %q names %d targets, and is not followed", r["id"].Text(), len(targets)))
		return
	}
	for _, id := range targets {
		pid, start, ok := o.target(id)
		if !ok {
			continue // another agent's
		}
		answer := row("id", r["id"].Text()+"/"+id, "run", r["whole"].Text(), "host", o.m.id, "target", id, "state", Running,
			"why", "", "code", 0, "stopped", int64(0), "pieces", 0, "digest", "", "expires", r["expires"].Int(),
			"certificate", "", "signature", "")
		if err != nil {
			o.m.Say(fmt.Sprintf("an order %q of %q is not followed: %v", r["id"].Text(), r["author"].Text(), err))
			answer["state"], answer["why"] = ovsdb.Scalar(Refused), ovsdb.Scalar(ovsdb.CleanString(err.Error()))
			if errors.Is(err, errReplay) && !o.seen.since(r["id"].Text()) {
				answer["state"], answer["why"] = ovsdb.Scalar(Gone), ovsdb.Scalar(diedAtIt)
			}
			if !o.answer(ctx, answer, true) && errors.Is(err, errReplay) {
				o.bury(ctx, answer, r["id"].Text())
			}
			continue
		}
		all.Go(func() {
			select {
			case o.room <- struct{}{}:
				defer func() { <-o.room }()
			case <-ctx.Done():
				return
			}
			if o.answer(ctx, answer, true) {
				o.do(ctx, who, certificate, order, r, answer, pid, start)
			}
		})
	}
}

// bury says of an order that this agent took before it was started anew that nothing will come of it.
func (o *orders) bury(ctx context.Context, answer ovsdb.Row, order string) {
	if o.seen.since(order) {
		return // it is being followed, or was: this is a replay
	}
	answer["state"], answer["why"] = ovsdb.Scalar(Gone), ovsdb.Scalar(diedAtIt)
	if err := sign(o.m.Identity, answerTable, answer); err != nil {
		return
	}
	op := update(answerTable, answer, "state", "why", "certificate", "signature")
	op["where"] = []any{[]any{"id", "==", answer["id"].Text()}, []any{"state", "==", Running}}
	_, _ = o.m.client.Repeat(ctx, op)
}

// target reads the id of one of this agent's targets.
func (o *orders) target(id string) (pid int64, start uint64, ok bool) {
	parts := strings.Split(id, "/")
	if len(parts) != 3 || parts[0] != o.m.id {
		return 0, 0, false
	}
	pid, err1 := strconv.ParseInt(parts[1], 10, 32)
	start, err2 := strconv.ParseUint(parts[2], 10, 63)
	return pid, start, err1 == nil && err2 == nil && pid > 0
}

// answer writes the row of an answer. One that is there is another's: of an order that this is a replay of.
func (o *orders) answer(ctx context.Context, answer ovsdb.Row, first bool) bool {
	if err := sign(o.m.Identity, answerTable, answer); err != nil {
		o.m.Say("an answer can't be signed: " + err.Error())
		return false
	}
	// Who asked waits for it until then, if it isn't taken back.
	left := time.UnixMilli(answer["expires"].Int()).Sub(o.m.now())
	ctx, stop := context.WithTimeout(ctx, min(max(left+grace, o.m.Database.insisting()), longestExpire))
	defer stop()
	var err error
	if first {
		_, _, err = o.m.client.Once(ctx, answerTable, "id", answer["id"].Text(), insert(answerTable, answer)[1])
	} else {
		_, err = o.m.client.Repeat(ctx, update(answerTable, answer, "state", "why", "code", "stopped", "pieces", "digest",
			"certificate", "signature"))
	}
	if err != nil && !errors.Is(err, client.ErrTaken) && ctx.Err() == nil {
		o.m.Say("an answer can't be written: " + err.Error())
	}
	return err == nil
}

// do has the agent do it, with what the author may, and answers.
func (o *orders) do(ctx context.Context, who pki.Holder, certificate []byte, order *Order, r, answer ovsdb.Row,
	pid int64, start uint64) {
	left := time.UnixMilli(r["expires"].Int()).Sub(o.m.now())
	if t := order.Question.Timeout; t > 0 {
		left = min(left, t)
	}
	asked := order.Question.request(pid, start, left, r["whole"].Text())
	asked.Folder, asked.Env, asked.Files = order.Folder, order.Env, order.Files
	var out limited
	var said tail
	var file []byte
	outcome := &Outcome{}
	doing, stop := context.WithTimeout(ctx, left+grace)
	defer stop()
	conn, err := o.m.Connect(who)
	if err == nil {
		var c *serveclient.Client
		opt := serveclient.Options{Version: o.m.Version, Say: o.m.Say}
		if c, err = serveclient.Over(doing, conn, method.Inside, opt); err == nil {
			defer c.Close()
			var ending *request.Ending
			if order.Output == "" {
				ending, err = c.DoAs(doing, asked, &out, &said)
			} else {
				asked.Flags = append(asked.Flags, request.Flag{Name: "output", Value: order.Output})
				ending, file, err = c.DoKept(doing, asked, mostFile, &out, &said)
				outcome.Rows = int64(len(file)) // whether there is one
			}
			if err == nil {
				outcome.close(order.Question, ending, said.text())
			}
		}
	}
	ends := o.life.Err() != nil
	switch {
	case ends && err != nil:
		outcome.end(Gone, diedAtIt)
	case ends:
	case ctx.Err() != nil:
		return // it was taken back
	case err != nil && doing.Err() != nil:
		outcome.end(TimedOut, "no answer in time")
	case err != nil:
		outcome.failed(err)
	}
	if ends {
		last, stop := context.WithTimeout(context.WithoutCancel(ctx), leaving)
		defer stop()
		ctx, doing = last, last
	}
	if out.cut && outcome.State == Answered {
		outcome.Code = exitPartial
		outcome.Why = fmt.Sprintf("its answer had more than %d bytes, which is the most by way of the database", mostAnswer)
	}
	text := out.Bytes()
	if out.cut { // whole rows only
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	if file != nil { // no row has a zero byte
		text = slices.Concat(text, []byte{0}, file)
	}
	answer["state"], answer["why"] = ovsdb.Scalar(outcome.State), ovsdb.Scalar(ovsdb.CleanString(outcome.Why))
	answer["code"], answer["stopped"] = ovsdb.Scalar(int64(outcome.Code)), ovsdb.Scalar(int64(outcome.Stopped))
	answer["digest"] = ovsdb.Scalar(digest(text))
	number := 0
	for piece := range slices.Chunk(text, pieceOf) {
		id := answer["id"].Text() + "/" + strconv.Itoa(number)
		sealed, err := pki.Seal(certificate, piece, id)
		if err != nil {
			o.m.Say("an answer can't be encrypted: " + err.Error())
			return
		}
		result := row("id", id, "run", r["whole"].Text(), "host", o.m.id, "target", answer["id"].Text(), "number", number,
			"data", base64.StdEncoding.EncodeToString(sealed))
		if _, _, err := o.m.client.Once(doing, resultTable, "id", id, insert(resultTable, result)[1]); err != nil {
			o.m.Say("an answer can't be written: " + err.Error())
			return
		}
		number++
	}
	answer["pieces"] = ovsdb.Scalar(int64(number))
	o.answer(ctx, answer, false)
}

// limited keeps so much and no more.
type limited struct {
	bytes.Buffer
	cut bool
}

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	room := mostAnswer - l.Len()
	if len(p) > room {
		l.cut = true
		l.Buffer.Write(p[:max(room, 0)])
		return len(p), nil
	}
	return l.Buffer.Write(p)
}

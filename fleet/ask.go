package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"ri/instruments/rows"
	"ri/ovsdb"
	"ri/ovsdb/client"
	"ri/serve/request"
)

// Question is what many are asked.
type Question struct {
	Command []string       // run, check, exec, print, set, undo
	Args    []string       `json:",omitempty"`
	After   []string       `json:",omitempty"` // arguments that begin like flags
	Flags   []request.Flag `json:",omitempty"`
	Where   []string       `json:",omitempty"` // which targets

	Canary int `json:",omitempty"` // so many first, and the rest if nothing stops it
	AtOnce int `json:",omitempty"` // so many at a time
	// Expire is how long all of it may take, Timeout one target; 0: as long as all.
	Expire  time.Duration `json:",omitempty"`
	Timeout time.Duration `json:",omitempty"`
	// MaxStop is the longest stop of a target, MaxStopTotal what all stops may add up to; 0: no limit of the fleet's.
	MaxStop      time.Duration `json:",omitempty"`
	MaxStopTotal time.Duration `json:",omitempty"`
	// StopOn has what stops the rest: finding, failure. Of canaries both do.
	StopOn []string `json:",omitempty"`

	// Write has targets changed: each change carries the run's id as its label in the journal where it is made. DryRun has
	// each say what would be changed.
	Write  bool   `json:",omitempty"`
	DryRun bool   `json:",omitempty"`
	Undoes string `json:",omitempty"` // the run that this takes back

	Keep   string   `json:"-"` // the folder in which each target makes a file
	Only   []string `json:"-"` // targets by id, those that are no more too; nil: all that match
	Folder string   `json:"-"` // in which it was asked
	Env    []string `json:"-"`
	Again  string   `json:",omitempty"` // the run of which this is another
}

// What stops the rest of a run.
const (
	OnFinding = "finding"
	OnFailure = "failure"
)

// How a target ends. Each that matched ends as one of them.
const (
	Answered = "answered"
	Refused  = "refused"
	TimedOut = "timed out"
	// Gone is also the state of a host.
	NotAsked = "not asked"
)

// Endings are the states in which a target ends, in the order in which they are told.
var Endings = []string{Answered, Refused, TimedOut, Gone, NotAsked}

// Outcome is a target of a run.
type Outcome struct {
	ID, Host, Target string
	State, Why       string
	Code             int // what ri exited with there
	Stopped          time.Duration
	Rows, Findings   int64
	Canary, ByRow    bool // it was asked first; by a row in the database

	File string // that is made of it, in the question's folder

	lost string // why there is nobody to ask

	host  *host
	pid   int64
	start uint64
}

// Named is a row of the target's among those of others: with its host and name before what it has.
func (o *Outcome) Named(row rows.Row) rows.Row {
	out := rows.Of("host", o.Host, "target", o.Target)
	for _, c := range row {
		if c.Name == "host" || c.Name == "target" {
			c.Name = "its_" + c.Name
		}
		out = append(out, c)
	}
	return out
}

// Partial tells whether something of the answer could not be given.
func (o *Outcome) Partial() bool { return o.State == Answered && o.Code == exitPartial }

func (o *Outcome) end(state, why string) { o.State, o.Why = state, why }

// Row is the outcome, for people and programs.
func (o *Outcome) Row() rows.Row {
	return rows.Of("host", o.Host, "target", o.Target, "state", o.State, "why", orNil(o.Why), "rows", o.Rows, "findings",
		o.Findings, "stopped", o.Stopped)
}

// Report is how a run ended.
type Report struct {
	Run      string
	Outcomes []*Outcome
	Took     time.Duration
}

// Totals count the targets by how they ended.
func (r *Report) Totals() map[string]int64 {
	out := map[string]int64{}
	for _, o := range r.Outcomes {
		out[o.State]++
	}
	return out
}

// Stopped is for how long targets were held, in all.
func (r *Report) Stopped() (sum time.Duration) {
	for _, o := range r.Outcomes {
		sum += o.Stopped
	}
	return sum
}

// Text is the totals on one line.
func (r *Report) Text() string {
	totals, found, partial, conflicts := r.Totals(), 0, 0, 0
	for _, o := range r.Outcomes {
		if o.Findings > 0 {
			found++
		}
		if o.Partial() {
			partial++
		}
		if o.Conflicts() {
			conflicts++
		}
	}
	parts := []string{}
	for _, state := range Endings {
		part := fmt.Sprintf("%s %s", rows.Thousands(totals[state]), state)
		var which []string
		if state == Answered && found > 0 {
			which = append(which, fmt.Sprintf("%d with findings", found))
		}
		if state == Answered && partial > 0 {
			which = append(which, fmt.Sprintf("%d partial", partial))
		}
		if state == Refused && conflicts > 0 {
			which = append(which, rows.Plural(int64(conflicts), "conflict"))
		}
		if len(which) > 0 {
			part += " (" + strings.Join(which, ", ") + ")"
		}
		parts = append(parts, part)
	}
	return fmt.Sprintf("%s: %s; stopped %s in all, took %s", rows.Plural(int64(len(r.Outcomes)), "target"),
		strings.Join(parts, ", "), rows.ShortDuration(r.Stopped()), rows.ShortDuration(r.Took))
}

// Exit codes of ri, as cmd/ri has them.
const (
	exitDone     = 0
	exitFound    = 3
	exitPartial  = 5
	exitConflict = 6
)

// Sink takes what targets answer, one row at a time. A finding is a row of one cell, $finding. A row that is nil says
// that the target has ended.
type Sink func(o *Outcome, row rows.Row)

// asking is a run that is under way.
type asking struct {
	*Asker
	q      *Question
	client *client.Client
	run    string // its id
	author string
	ends   time.Time
	sink   Sink

	mu       sync.Mutex // also: one row at a time
	room     *sync.Cond // stops' budget has changed
	spent    time.Duration
	reserved time.Duration
	stopped  string // why nobody else is asked
	lines    map[string]*line
	left     map[*host]int // how many targets of each have not ended
	report   *Report
	courier  *courier
	written  ovsdb.Row // the run, as it was written down
}

var (
	errExpired = errors.New("the time of the run is over")
	// ErrCancelled: somebody cancelled the run.
	ErrCancelled = errors.New("cancelled")
)

// defaultStop is the longest stop of a recipe that says nothing else.
const defaultStop = 100 * time.Millisecond

// Defaults of a question.
const (
	DefaultAtOnce = 50
	DefaultExpire = 5 * time.Minute
	longestExpire = time.Hour
)

// Check says what is wrong with a question, before anybody is asked.
func (q *Question) Check() error {
	switch {
	case q.Canary < 0 || q.AtOnce < 0 || q.Expire < 0 || q.Timeout < 0 || q.MaxStopTotal < 0 || q.MaxStop < 0:
		return rows.Usagef("limits of a run must not be negative")
	case q.Expire > longestExpire:
		return rows.Usagef("--expire %s: a run takes %s at most", q.Expire, longestExpire)
	}
	for _, s := range q.StopOn {
		if s != OnFinding && s != OnFailure {
			return rows.Usagef("--stop-on %s: it is %s or %s", rows.QuoteName(s), OnFinding, OnFailure)
		}
	}
	if q.MaxStopTotal > 0 && q.MaxStop == 0 {
		q.MaxStop = min(defaultStop, q.MaxStopTotal)
	}
	if q.AtOnce == 0 {
		q.AtOnce = DefaultAtOnce
	}
	if q.Expire == 0 {
		q.Expire = DefaultExpire
	}
	return nil
}

// Ask asks all targets that match, and gives how each ended. The error is of what went wrong before that.
func (a *Asker) Ask(ctx context.Context, q *Question, sink Sink) (*Report, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx)) // how it ended is written down after ctx
	defer end()
	c, err := a.Database.ask(life)
	if err != nil {
		return nil, rows.Refused(err)
	}
	all, err := count(ctx, c, a.Identity, a.now())
	if err != nil {
		return nil, err
	}
	outcomes, err := all.matching(q.Where)
	if err != nil {
		return nil, err
	}
	if q.Only != nil {
		outcomes = all.only(outcomes, q.Only, len(q.Where) == 0)
	}
	if len(outcomes) == 0 {
		return nil, rows.Refused(fmt.Errorf("no target of %d matches (ri fleet targets lists them)", len(all.targets)))
	}
	s := &asking{Asker: a, q: q, client: c, run: ovsdb.NewUUID().String(), sink: sink, lines: map[string]*line{},
		left:   map[*host]int{},
		report: &Report{Outcomes: outcomes}}
	s.report.Run = s.run
	s.room = sync.NewCond(&s.mu)
	defer s.hangUp()
	if q.Keep != "" {
		nameFiles(outcomes)
	}
	for _, o := range outcomes {
		s.left[o.host]++
	}
	if err := s.estimate(ctx); err != nil {
		return nil, err
	}
	begun := a.now()
	s.ends = begun.Add(q.Expire)
	asked, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(q.Expire, func() { cancel(errExpired) })
	defer timer.Stop()
	if err := s.begin(asked, cancel); err != nil {
		return nil, err
	}
	canaries := min(q.Canary, len(outcomes))
	if canaries > 0 && canaries < len(outcomes) {
		for _, o := range outcomes[:canaries] {
			o.Canary = true
		}
		s.batch(asked, outcomes[:canaries])
		s.judge(outcomes[:canaries])
		outcomes = outcomes[canaries:]
	}
	s.batch(asked, outcomes)
	s.report.Took = a.now().Sub(begun)
	s.finish(life, ctx, asked.Err() != nil)
	return s.report, nil
}

// matching are the targets of which conditions hold, hosts in turn, so that no host is asked all at once and canaries
// are on several.
func (all *census) matching(where []string) ([]*Outcome, error) {
	r := all.table()
	if err := choose(r, where); err != nil {
		return nil, err
	}
	byID := map[string]ovsdb.Row{}
	for _, t := range all.targets {
		byID[t["id"].Text()] = t
	}
	var out []*Outcome
	turn := map[*Outcome]int{}
	of := map[string]int{}
	for _, one := range r.Rows {
		id, _ := one[len(one)-1].Value.(string)
		t := byID[id]
		h := all.hosts[t["host"].Text()]
		o := &Outcome{ID: id, Host: h.name, Target: targetName(t), host: h, pid: t["pid"].Int(),
			start: uint64(t["start"].Int())}
		turn[o] = of[h.id]
		of[h.id]++
		out = append(out, o)
	}
	rank := map[string]int{Here: 0, Late: 1, Gone: 2}
	slices.SortStableFunc(out, func(x, y *Outcome) int {
		return cmp.Or(cmp.Compare(rank[x.host.state], rank[y.host.state]), cmp.Compare(turn[x], turn[y]))
	})
	return out, nil
}

// estimate says what the run will cost, before it begins, and has a person agree to a change.
func (s *asking) estimate(ctx context.Context) error {
	hosts := map[*host]bool{}
	for _, o := range s.report.Outcomes {
		hosts[o.host] = true
	}
	each, total := s.q.MaxStop, ""
	if each == 0 {
		each = defaultStop
	}
	if s.q.MaxStopTotal > 0 {
		total = fmt.Sprintf(", and no more than %s in all", rows.ShortDuration(s.q.MaxStopTotal))
	}
	where := fmt.Sprintf("%s on %s", rows.Plural(int64(len(s.report.Outcomes)), "target"),
		rows.Plural(int64(len(hosts)), "host"))
	s.Say(fmt.Sprintf("%s, %d at once; a stop of each takes %s at most if the recipe says nothing else, so %s for all "+
		"that are stopped once%s", where, s.q.AtOnce, rows.ShortDuration(each),
		rows.ShortDuration(each*time.Duration(len(s.report.Outcomes))), total))
	if !s.q.Write || s.Agree == nil {
		return nil
	}
	if n := s.q.Canary; n > 0 && n < len(s.report.Outcomes) {
		where += fmt.Sprintf(", %d of them first", n)
	}
	return s.Agree(ctx, s.q.Text(), where)
}

// batch asks some, so many at once, and returns when each has ended.
func (s *asking) batch(ctx context.Context, list []*Outcome) {
	defer context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.room.Broadcast()
	})()
	next := make(chan *Outcome)
	var all sync.WaitGroup
	for range min(s.q.AtOnce, len(list)) {
		all.Go(func() {
			for o := range next {
				if why := s.admit(ctx); why != "" {
					o.end(NotAsked, why)
				} else {
					s.one(ctx, o)
					s.settle(o)
				}
				s.mu.Lock()
				s.sink(o, nil)
				s.left[o.host]--
				last := s.left[o.host] == 0
				s.mu.Unlock()
				if last {
					s.hangUpOn(o.host)
				}
			}
		})
	}
	for _, o := range list {
		next <- o
	}
	close(next)
	all.Wait()
}

// admit waits until a target may be held for as long as it could be, and says why it is not to be asked.
func (s *asking) admit(ctx context.Context) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch most := s.q.MaxStopTotal; {
		case ctx.Err() != nil:
			return s.ended(ctx)
		case s.stopped != "":
			return s.stopped
		case most == 0:
			return ""
		case s.spent+s.reserved+s.q.MaxStop <= most:
			s.reserved += s.q.MaxStop
			return ""
		case s.reserved == 0:
			return fmt.Sprintf("targets were stopped for %s in all, and --max-stop-total is %s", rows.ShortDuration(s.spent),
				rows.ShortDuration(most))
		}
		s.room.Wait()
	}
}

// ended says why a run is over.
func (s *asking) ended(ctx context.Context) string {
	switch err := context.Cause(ctx); {
	case errors.Is(err, errExpired):
		return fmt.Sprintf("the run's time is over (--expire %s)", s.q.Expire)
	case errors.Is(err, ErrCancelled):
		return err.Error()
	}
	return "interrupted"
}

// settle takes note of what a target has cost, and whether it ends the run.
func (s *asking) settle(o *Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spent += o.Stopped
	if s.q.MaxStopTotal > 0 {
		s.reserved -= s.q.MaxStop
	}
	if why := bad(o, s.q.StopOn); why != "" && s.stopped == "" {
		s.stopped = why + " (--stop-on)"
	}
	s.room.Broadcast()
}

// judge stops the rest if a canary found something or failed.
func (s *asking) judge(canaries []*Outcome) {
	on := s.q.StopOn
	if len(on) == 0 {
		on = []string{OnFinding, OnFailure}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range canaries {
		if why := bad(o, on); why != "" && s.stopped == "" {
			s.stopped = why + ", and it was a canary"
			s.Say("the rest is not asked: " + s.stopped)
		}
	}
}

func bad(o *Outcome, on []string) string {
	name := o.Host + " " + o.Target
	switch {
	case o.Findings > 0 && slices.Contains(on, OnFinding):
		return name + " has a finding"
	case o.State != Answered && slices.Contains(on, OnFailure):
		return fmt.Sprintf("%s: %s (%s)", name, o.State, o.Why)
	}
	return ""
}

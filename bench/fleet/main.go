//go:build linux

// Bench of a fleet: one question to many simulated agents, over the engines that may have their database. `make bench`
// runs it small; docs/benchmarks.md has its figures, and the plot that it prints. Database, agents and asker are
// processes of their own. Beside each run stands what it takes to call the same agents with nothing around it: no
// database, nothing merged, nothing printed.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// bench is what is measured with.
type bench struct {
	ri   string // the command
	runs int
	real int // agents of the largest fleet that have a process that exists
}

// trial is a fleet of which one question is asked.
type trial struct {
	agents   int
	engine   string
	rows     int  // that each answers
	tls      bool // they have certificates, and are called over TLS
	uncalled bool // they have certificates, and are asked by rows of the database
	real     int  // so many have a process that exists
}

func main() {
	b := &bench{}
	flag.StringVar(&b.ri, "ri", "", "measure the command `FILE` (default: it is built)")
	flag.IntVar(&b.runs, "runs", 3, "how often each is asked; medians are printed")
	flag.IntVar(&b.real, "real", 200, "how many agents of the largest fleet have processes that exist")
	agents := flag.String("agents", "100,1000,10000", "fleets of `N,...` agents")
	engines := flag.String("engines", strings.Join(engineNames, ","), "databases served by `NAME,...`")
	rows := flag.String("rows", "100", "fleets of 1,000 of which each answers `N,...` rows")
	secure := flag.Int("tls", 1000, "`N` agents over TLS, and by rows of the database; 0: none")
	flag.Parse()
	if err := b.main(*agents, *engines, *rows, *secure); err != nil {
		fmt.Fprintln(os.Stderr, "bench/fleet:", err)
		os.Exit(1)
	}
}

func (b *bench) main(agents, engines, rows string, secure int) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	many, err := numbers(agents)
	if err != nil {
		return err
	}
	each, err := numbers(rows)
	if err != nil {
		return err
	}
	var trials []trial
	for _, engine := range strings.Split(engines, ",") {
		if !slices.Contains(engineNames, engine) {
			return fmt.Errorf("-engines %q: there are %s", engine, strings.Join(engineNames, ", "))
		}
		for _, n := range many {
			trials = append(trials, trial{agents: n, engine: engine, rows: 1})
		}
	}
	if len(many) > 0 && b.real > 0 {
		n := slices.Max(many)
		trials = append(trials, trial{agents: n, engine: ours, rows: 1, real: min(b.real, n)})
	}
	for _, n := range each {
		trials = append(trials, trial{agents: 1000, engine: ours, rows: n})
	}
	if secure > 0 {
		trials = append(trials, trial{agents: secure, engine: ours, rows: 1, tls: true},
			trial{agents: secure, engine: ours, rows: 1, uncalled: true})
	}
	home, err := os.MkdirTemp("", "ri") // names of sockets are short
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	if b.ri == "" {
		b.ri = filepath.Join(home, "ri")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", b.ri, "./cmd/ri").CombinedOutput(); err != nil {
			return fmt.Errorf("ri can't be built: %w\n%s", err, out)
		}
	}
	var all []result
	fmt.Print(heading)
	for n, t := range trials {
		r, err := b.try(ctx, filepath.Join(home, strconv.Itoa(n)), t)
		if err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
		fmt.Println(r.row())
		all = append(all, *r)
	}
	plot(all)
	return nil
}

func numbers(text string) (out []int, err error) {
	for one := range strings.SplitSeq(text, ",") {
		if one == "" {
			continue
		}
		n, err := strconv.Atoi(one)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no number of agents or rows", one)
		}
		out = append(out, n)
	}
	return out, nil
}

// result is what was measured of a trial.
type result struct {
	trial
	registered time.Duration
	took       []time.Duration // runs, as who asks feels them
	first      []time.Duration // until the first row
	bare       []time.Duration // the same agents called with nothing around it
	answered   []int
	cpu        [3]time.Duration // of who asks, of the database and of the agents, in the last run
	memory     int              // of the database, the most that was resident, in MB
}

const heading = "| agents | database | all registered | a run | first row | called alone | run / called alone | " +
	"CPU: asker, database, agents | database's memory | answered |\n" +
	"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"

func (t trial) String() string {
	text := fmt.Sprintf("%d", t.agents)
	if t.rows > 1 {
		text += fmt.Sprintf(", %d rows each", t.rows)
	}
	if t.real > 0 {
		text += fmt.Sprintf(", %d of them with processes", t.real)
	}
	if t.tls {
		text += ", TLS"
	}
	if t.uncalled {
		text += ", by rows of the database"
	}
	return text + " | " + t.engine
}

func (r *result) row() string {
	bare, ratio := "", ""
	if len(r.bare) > 0 {
		bare, ratio = spread(r.bare), fmt.Sprintf("%.1f", median(r.took).Seconds()/median(r.bare).Seconds())
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s, %s, %s | %d MB | %s |", r.trial, short(r.registered),
		spread(r.took), spread(r.first), bare, ratio, short(r.cpu[0]), short(r.cpu[1]), short(r.cpu[2]), r.memory,
		strings.Trim(fmt.Sprint(slices.Compact(r.answered)), "[]"))
}

func median[T cmp.Ordered](v []T) T {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// spread is the median, and the least and the most.
func spread(v []time.Duration) string {
	if len(v) == 1 {
		return short(v[0])
	}
	return fmt.Sprintf("%s (%s to %s)", short(median(v)), short(slices.Min(v)), short(slices.Max(v)))
}

func short(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// widest is how many characters the longest bar has.
const widest = 40

// plot shows what a target costs: the time of a run, for each of its targets.
func plot(all []result) {
	most := 0.0
	for _, r := range all {
		most = max(most, r.each())
	}
	fmt.Print("\n| a run, for each target | ms | |\n| --- | ---: | --- |\n")
	for _, r := range all {
		bar := strings.Repeat("#", max(1, int(r.each()/most*widest+0.5)))
		fmt.Printf("| %s | %.2f | `%s` |\n", strings.ReplaceAll(r.String(), " | ", ", "), r.each(), bar)
	}
}

func (r *result) each() float64 {
	return float64(median(r.took).Microseconds()) / 1000 / float64(r.agents)
}

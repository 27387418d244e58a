package commands

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"ri/files"
	"ri/inert"
	"ri/instruments/rows"
	"ri/record/format"
	"ri/record/streams"
	"ri/replay/player"
)

// StreamsReplay says how a recording of streams is replayed.
type StreamsReplay struct {
	player.Options
	Exec   string   // a command line, in a shell's quoting
	Rules  []string // of what may differ
	File   string   // with such rules, in YAML
	Client string   // a file with a certificate, whose names the clients have
	Given  bool     // somebody said one of these
}

// names is the certificate whose names the clients have; nil: none was given.
func (s *StreamsReplay) names() ([]byte, error) {
	if s.Client == "" {
		return nil, nil
	}
	if len(s.Trust) == 0 {
		return nil, errors.New("--client-cert: the program wouldn't trust its clients: --trust names the file with " +
			"those who may sign for them")
	}
	text, err := files.Read(s.Client, mostRules)
	if err != nil {
		return nil, fmt.Errorf("--client-cert: %w", err)
	}
	block, _ := pem.Decode(text)
	for rest := text; block != nil && block.Type != "CERTIFICATE"; {
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return nil, fmt.Errorf("--client-cert %s: there is no certificate in it (PEM)", s.Client)
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return nil, fmt.Errorf("--client-cert %s: %w", s.Client, err)
	}
	return block.Bytes, nil
}

// mostRules bounds a file of rules, in bytes.
const mostRules = 1 << 20

// rules are those that were given one by one, and those of the file.
func (s *StreamsReplay) rules() (all []player.Rule, err error) {
	for _, text := range s.Rules {
		rule, err := player.ParseRule(text)
		if err != nil {
			return nil, fmt.Errorf("--may-differ: %w", err)
		}
		all = append(all, rule)
	}
	if s.File == "" {
		return all, nil
	}
	text, err := files.Read(s.File, mostRules)
	if err != nil {
		return nil, fmt.Errorf("--rules: %w", err)
	}
	var file struct {
		MayDiffer []player.Rule `yaml:"may-differ"`
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("--rules %s: %w", s.File, err)
	}
	for n, rule := range file.MayDiffer {
		if err := rule.Check(); err != nil {
			return nil, fmt.Errorf("--rules %s: rule %d: %w", s.File, n+1, err)
		}
	}
	return append(all, file.MayDiffer...), nil
}

// recordedStreams opens a recording of streams; nil where the file is something else, which others say.
func recordedStreams(path string) *os.File {
	f, err := files.Open(path)
	if err != nil {
		return nil
	}
	info, err := f.Stat()
	if err == nil {
		var r *format.Reader
		if r, err = format.Open(f, info.Size(), path); err == nil {
			_, err = streams.NewReader(r)
		}
	}
	if err != nil {
		f.Close()
		return nil
	}
	return f
}

// ReplayInside is what this process is where a replay started it again, in namespaces of its own. ok is false
// everywhere else.
func ReplayInside() (code int, ok bool) {
	if !player.Inside() {
		return 0, false
	}
	return player.RunInside(), true
}

// notReproduced is said of each replay.
const notReproduced = "not reproduced: the order of what ran at once, timers (they run in real time), monotonic " +
	"time, files that the recording doesn't have"

// ends are a program's standard streams.
type ends struct {
	In       io.Reader
	Out, Err io.Writer
}

// replayStreams replays a recording of streams. That something differs is a finding.
func replayStreams(ctx context.Context, out *rows.Output, file *os.File, path string, o StreamsReplay) error {
	terminal := ends{Out: io.Discard, Err: io.Discard}
	switch {
	case len(o.Options.Exec) > 0: // a debugger has the terminal
		terminal = ends{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	case !out.Quiet:
		w := inert.NewWriter(os.Stderr)
		terminal.Out, terminal.Err = w, w
	}
	r, err := player.Replay(ctx, file, o.Options, terminal.In, terminal.Out, terminal.Err)
	switch {
	case ctx.Err() != nil:
		return err
	case errors.Is(err, player.ErrBinary):
		return rows.Usage(fmt.Errorf("%s: %w", path, err))
	case err != nil:
		return rows.Refused(fmt.Errorf("%s: %w", path, err))
	}
	for _, note := range r.Notes {
		out.Log("note: " + note)
	}
	out.Log(notReproduced)
	if out.Format == rows.Table {
		err = out.WriteText(replayText(path, r))
	} else {
		err = out.WriteOne(replayRow(path, r))
	}
	if err == nil {
		err = out.Commit()
	}
	if err != nil || r.Same() {
		return err
	}
	return rows.Said(rows.ErrFound)
}

func replayText(path string, r *player.Report) string {
	var b strings.Builder
	verdict := "the program does what was recorded"
	switch {
	case r.Reordered():
		verdict = "the program does what was recorded, and writes it in another order"
	case !r.Same():
		verdict = "the program does something else"
	}
	fmt.Fprintf(&b, "%s: %s\n", path, verdict)
	fmt.Fprintf(&b, "outputs: %s equal", rows.Thousands(int64(r.Equal)))
	if len(r.Passed) > 0 {
		fmt.Fprintf(&b, " (%s of them but for what may differ)", rows.Thousands(int64(r.ByRule)))
	}
	for _, c := range []struct {
		n    int
		what string
	}{{r.Moved, "equal but before others of their connection"}, {r.Unknown, "not known to the recording"},
		{r.Differing, "differing"}, {r.Missing, "missing"},
		{r.UnmatchedCount, "sent to peers and not in the recording"}, {r.Short, "short when nothing moved any more"}} {
		if c.n > 0 {
			fmt.Fprintf(&b, ", %s %s", rows.Thousands(int64(c.n)), c.what)
		}
	}
	if r.Extra > 0 {
		fmt.Fprintf(&b, ", and %s more than recorded", rows.Plural(r.Extra, "byte"))
	}
	fmt.Fprintf(&b, "\nplayed %s of what came in, of %s, in %s (recorded in %s)\n", rows.Thousands(int64(r.Played)),
		rows.Plural(int64(r.Events), "event"), rows.DurationText(r.Took), rows.DurationText(r.Recorded))
	fmt.Fprintf(&b, "exit code %d", r.Exit)
	switch {
	case r.RecordedExit == nil:
		b.WriteString(" (the recording ended before the program did)")
	case *r.RecordedExit == r.Exit:
		b.WriteString(", as recorded")
	default:
		fmt.Fprintf(&b, ", recorded was %d", *r.RecordedExit)
	}
	b.WriteByte('\n')
	for _, passed := range r.Passed {
		fmt.Fprintf(&b, "may differ, and did in %s: %s\n", rows.Plural(int64(passed.Outputs), "output"),
			inert.Text(passed.Rule))
	}
	for _, d := range r.Differences {
		what := fmt.Sprintf("differs at byte %d of %d", d.Offset, d.Size)
		if d.Missing {
			what = fmt.Sprintf("%s never came", rows.Plural(d.Size, "byte"))
		}
		fmt.Fprintf(&b, "event %d, after %s, connection %d with %s: %s\n", d.Event, rows.DurationText(d.At), d.Conn, d.With,
			what)
		writeBytes(&b, d.Recorded, d.Replayed, d.Missing)
	}
	if n := r.Differing + r.Missing - len(r.Differences); n > 0 {
		fmt.Fprintf(&b, "and %d more\n", n)
	}
	for _, u := range r.Unmatched {
		fmt.Fprintf(&b, "sent to %s, and not in the recording", u.Peer)
		if u.Question != "" {
			fmt.Fprintf(&b, ": a question for %s", inert.Text(u.Question))
		}
		if u.Event != 0 {
			fmt.Fprintf(&b, "; event %d, which was next, differs at byte %d", u.Event, u.Offset)
		}
		b.WriteByte('\n')
		writeBytes(&b, u.Recorded, u.Replayed, false)
	}
	return b.String()
}

func writeBytes(b *strings.Builder, recorded, replayed []byte, missing bool) {
	if len(recorded) > 0 {
		fmt.Fprintf(b, "  recorded: %q\n", recorded)
	}
	if !missing {
		fmt.Fprintf(b, "  replayed: %q\n", replayed)
	}
}

func replayRow(path string, r *player.Report) rows.Row {
	list := []any{}
	for _, d := range r.Differences {
		list = append(list, rows.Of("event", int64(d.Event), "connection", int64(d.Conn), "with", d.With,
			"at_ms", d.At.Milliseconds(), "size", d.Size, "offset", int64(d.Offset), "missing", d.Missing,
			"recorded", string(d.Recorded), "replayed", string(d.Replayed)))
	}
	unmatched := []any{}
	for _, u := range r.Unmatched {
		unmatched = append(unmatched, rows.Of("peer", u.Peer, "question", u.Question,
			"event", int64(u.Event), "offset", int64(u.Offset),
			"recorded", string(u.Recorded), "replayed", string(u.Replayed)))
	}
	passed := []any{}
	for _, one := range r.Passed {
		passed = append(passed, rows.Of("rule", one.Rule, "outputs", int64(one.Outputs)))
	}
	notes := []any{}
	for _, n := range r.Notes {
		notes = append(notes, n)
	}
	var recordedExit any
	if r.RecordedExit != nil {
		recordedExit = int64(*r.RecordedExit)
	}
	return rows.Of("file", path, "same", r.Same(), "events", int64(r.Events), "played", int64(r.Played),
		"equal", int64(r.Equal), "by_rule", int64(r.ByRule), "moved", int64(r.Moved),
		"unknown", int64(r.Unknown), "differing", int64(r.Differing),
		"missing", int64(r.Missing), "short", int64(r.Short), "extra_bytes", r.Extra,
		"unmatched", int64(r.UnmatchedCount), "took_ms", float64(r.Took)/float64(time.Millisecond),
		"recorded_ms", float64(r.Recorded)/float64(time.Millisecond), "exit", int64(r.Exit), "recorded_exit", recordedExit,
		"ended_early", r.Ended, "differences", list, "unmatched_list", unmatched, "rules", passed, "notes", notes)
}

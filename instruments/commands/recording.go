package commands

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"ri/attach/recorded"
	"ri/files"
	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/record"
	"ri/record/seal"
)

// openRecording opens a recording by its path; that it was cut short is said.
func openRecording(out *rows.Output, choice looks.TargetChoice) (*recorded.Recording, error) {
	if file, r, err := openCalls(choice.Recording); err == nil && r != nil {
		file.Close()
		return nil, rows.Usage(fmt.Errorf("%s: %w", choice.Recording, errNotHere))
	}
	if file, r, err := openStreams(choice.Recording); err == nil && r != nil {
		file.Close()
		return nil, rows.Usage(fmt.Errorf("%s: %w", choice.Recording, errNotStreams))
	}
	with, err := seal.ReadIdentities(choice.Identity)
	if err != nil {
		return nil, rows.Usage(fmt.Errorf("--identity: %w", err))
	}
	r, err := recorded.OpenFile(choice.Recording, with)
	if err != nil {
		return nil, rows.Refused(err)
	}
	if text := r.CutShort(); text != "" {
		out.Log("note: " + text)
	}
	return r, nil
}

// RecordingInfo says what a recording is of, and what it holds.
func RecordingInfo(out *rows.Output, choice looks.TargetChoice) error {
	path := choice.Recording
	if file, r, err := openCalls(path); err != nil {
		return err
	} else if r != nil {
		defer file.Close()
		return callsInfo(out, path, r)
	}
	if file, r, err := openStreams(path); err != nil {
		return err
	} else if r != nil {
		defer file.Close()
		return streamsInfo(out, path, r)
	}
	r, err := openRecording(out, choice)
	if err != nil {
		return err
	}
	defer r.Close()
	if out.Format != rows.Table {
		var header any
		if err := json.Unmarshal(r.File().Header(), &header); err != nil {
			return rows.Refused(err)
		}
		return out.WriteOne(rows.Of("file", path, "cut_short", r.File().CutShort(), "header", rowOf(header)))
	}
	var h record.Header
	if err := json.Unmarshal(r.File().Header(), &h); err != nil {
		return rows.Refused(fmt.Errorf("%s: its header: %w", path, err))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s", r.Describe(), h.Program.Module)
	if h.Program.Version != "" {
		fmt.Fprintf(&b, " %s", h.Program.Version)
	}
	fmt.Fprintf(&b, ", %s\nmade %s by ri %s", h.Program.Go, h.Made.Format("2006-01-02 15:04:05 MST"), h.RI)
	traced, err := r.Trace()
	hits := err == nil
	if hits {
		b.WriteString("\n" + tracedText(traced))
		h.Recipes = nil
		if ended, err := r.Ended(); err == nil {
			fmt.Fprintf(&b, "  %s taken of %s, in %s, until: %s\n", rows.Plural(int64(ended.Shown), "hit"),
				rows.Thousands(int64(ended.Hits)), rows.DurationText(ended.Length), ended.Why)
		}
	} else {
		fmt.Fprintf(&b, "; the process was stopped for %s\n", rows.ShortDuration(h.Stop.Stopped))
	}
	for _, ran := range h.Recipes {
		fmt.Fprintf(&b, "  %s: %s, %s", ran.Recipe, rows.Plural(int64(ran.Rows), "row"),
			rows.Plural(int64(ran.Findings), "finding"))
		if ran.Problem != "" {
			fmt.Fprintf(&b, "; %s", ran.Problem)
		}
		b.WriteByte('\n')
	}
	key := "their key was thrown away"
	if h.Policy.KeyKept {
		key = "their key was kept"
	}
	fmt.Fprintf(&b, "kept: %s; not kept: %s by the rules, %s of which no type is known\n", rows.ShortBytes(h.Counts.Kept),
		rows.ShortBytes(h.Counts.Denied), rows.ShortBytes(h.Counts.Unknown))
	fmt.Fprintf(&b, "tokens: %d texts, %s; %s\nrules of its own: %d\n", h.Counts.Tokens,
		rows.ShortBytes(h.Counts.Replaced), key,
		h.Policy.Rules)
	look := "check"
	if hits {
		look = "trace"
	}
	fmt.Fprintf(&b, "next: ri recording check %s shows what is in clear; ri %s -r %s looks at it\n", path, look, path)
	return out.WriteText(b.String())
}

// tracedText says what hits were taken of.
func tracedText(t *recorded.Trace) string {
	var b strings.Builder
	b.WriteString("hits of ri trace:\n")
	if t.Recipe != "" {
		b.Reset()
		fmt.Fprintf(&b, "hits of ri run %s:\n", t.Recipe)
	}
	for _, one := range t.Probes {
		fmt.Fprintf(&b, "  %s", strings.Join(one.Functions, ", "))
		if one.Returns {
			b.WriteString(", with returns")
		}
		for i, s := range one.Show {
			fmt.Fprintf(&b, "%s%s", map[bool]string{true: ": ", false: ", "}[i == 0], s.Expr)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// rowOf makes of a JSON value what is written as all rows are: texts of elsewhere made harmless.
func rowOf(v any) any {
	switch v := v.(type) {
	case map[string]any:
		var row rows.Row
		for _, name := range slices.Sorted(maps.Keys(v)) {
			row = append(row, rows.Cell{Name: name, Value: rowOf(v[name])})
		}
		return row
	case []any:
		for i := range v {
			v[i] = rowOf(v[i])
		}
	}
	return v
}

// RecordingVerify reads all of a recording and says what is damaged.
func RecordingVerify(out *rows.Output, choice looks.TargetChoice) error {
	path := choice.Recording
	if file, r, err := openCalls(path); err != nil {
		return err
	} else if r != nil {
		defer file.Close()
		if err := drain(path, r); err != nil {
			return err
		}
		return sayWhole(out, path, "event", r.End.Events)
	}
	if file, r, err := openStreams(path); err != nil {
		return err
	} else if r != nil {
		defer file.Close()
		return streamsVerify(out, path, r)
	}
	r, err := openRecording(out, choice)
	if err != nil {
		return err
	}
	defer r.Close()
	problems := r.File().Verify()
	if len(problems) == 0 {
		if err := record.VerifyHits(r); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) > 0 {
		return rows.Refused(errors.Join(problems...))
	}
	return sayWhole(out, path, "block", int64(len(r.File().Blocks())))
}

// sayWhole says that a recording has so many parts, and none is damaged.
func sayWhole(out *rows.Output, path, part string, n int64) error {
	return out.WriteSaid(fmt.Sprintf("%s: %s, all whole\n", path, rows.Plural(n, part)), rows.Of("file", path, part+"s", n,
		"whole", true))
}

// AuditOptions says what is looked for in a recording.
type AuditOptions struct {
	Words []string
	File  string // of more of them, one a line
	All   bool   // every text that is kept
	HTML  string // file that gets all of it as a page, which must not be there
}

// RecordingCheck shows what a recording holds in clear, and what looks as if it shouldn't be there: rows.ErrFound.
func RecordingCheck(out *rows.Output, choice looks.TargetChoice, opt AuditOptions) error {
	path := choice.Recording
	words, err := opt.words()
	if err != nil {
		return err
	}
	if file, r, err := openCalls(path); err != nil {
		return err
	} else if r != nil {
		defer file.Close()
		return callsCheck(out, path, r, words, opt)
	}
	if file, r, err := openStreams(path); err != nil {
		return err
	} else if r != nil {
		defer file.Close()
		return streamsCheck(out, path, r, words, opt)
	}
	r, err := openRecording(out, choice)
	if err != nil {
		return err
	}
	defer r.Close()
	audit, err := record.Check(r.File(), r, words, opt.All || opt.HTML != "")
	if err != nil {
		return rows.Refused(err)
	}
	if opt.HTML != "" {
		if err := newFile(opt.HTML, func(file *os.File) error {
			return audit.Page(file, path, r.File(), nothingFound(len(words)))
		}); err != nil {
			return err
		}
		out.Log(opt.HTML + ": every text that is kept, and what was found, as a page")
		if !opt.All {
			audit.Shorten()
		}
	}
	return reportAudit(out, path, audit, len(words))
}

// words are those that are looked for.
func (o AuditOptions) words() ([]string, error) {
	words := o.Words
	if o.File == "" {
		return words, nil
	}
	text, err := files.Read(o.File, 16<<20)
	if err != nil {
		return nil, rows.Usage(fmt.Errorf("--against: %w", err))
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			words = append(words, line)
		}
	}
	return words, nil
}

// reportAudit shows what was found: rows.ErrFound where something was.
func reportAudit(out *rows.Output, path string, audit *record.Audit, words int) (err error) {
	if out.Format != rows.Table {
		err = out.WriteOne(rows.Of("file", path, "read_bytes", audit.Read, "kept", keptRows(audit.Kept),
			"found", foundRows(audit.Found)))
	} else {
		err = out.WriteText(auditText(path, audit, words))
	}
	if err == nil && len(audit.Found) > 0 {
		return fmt.Errorf("%s: %s that may not be meant to be sent: %w", path, rows.Plural(int64(len(audit.Found)), "text"),
			rows.ErrFound)
	}
	return err
}

func keptRows(list []record.KeptTexts) (out []any) {
	for _, k := range list {
		var samples []any
		for _, s := range k.Samples {
			samples = append(samples, s)
		}
		out = append(out, rows.Of("field", k.Field, "constant", k.Constant, "count", int64(k.Count), "bytes", k.Bytes,
			"samples", samples))
	}
	return out
}

func foundRows(list []record.Found) (out []any) {
	for _, f := range list {
		out = append(out, rows.Of("what", f.What, "form", f.Form, "where", f.Where, "text", f.Text))
	}
	return out
}

func auditText(path string, a *record.Audit, words int) string {
	var b strings.Builder
	b.WriteString("texts that are kept as they are:\n")
	for _, k := range a.Kept {
		what := k.Field
		if k.Constant {
			what = "constants of the program"
		}
		fmt.Fprintf(&b, "  %s: %s, %s\n", what, rows.Plural(int64(k.Count), "text"), rows.ShortBytes(k.Bytes))
		for _, s := range k.Samples {
			fmt.Fprintf(&b, "    %q\n", s)
		}
		if more := k.Count - len(k.Samples); more > 0 {
			fmt.Fprintf(&b, "    and %d more (--all)\n", more)
		}
	}
	if len(a.Kept) == 0 {
		b.WriteString("  none\n")
	}
	for _, f := range a.Found {
		fmt.Fprintf(&b, "found: %s, %s: %q (%s)\n", f.What, f.Form, f.Text, f.Where)
	}
	if len(a.Found) == 0 {
		fmt.Fprintf(&b, "nothing was found in %s of %s: %s\n", rows.ShortBytes(a.Read), path, nothingFound(words))
	}
	return b.String()
}

func nothingFound(words int) string {
	text := "no e-mail or IP address, card number, key or password of a known form"
	if words > 0 {
		text += ", and none of " + rows.Plural(int64(words), "word")
	}
	return text
}

package rows

import (
	"bytes"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/google/pprof/profile"
	"golang.org/x/term"

	"ri/inert"
)

// Profiles of a result's samples: as pprof has them (what go tool pprof and its friends open), and folded (a line a
// stack, what flame graphs are drawn from).

// ProfileFormat is how samples are written.
type ProfileFormat string

const (
	ProfilePprof  ProfileFormat = "pprof"
	ProfileFolded ProfileFormat = "folded"
)

// profileOutput is a file that is to have the samples.
type profileOutput struct {
	format ProfileFormat
	out    *Output
}

// AddProfile has the samples written to a file too, which appears whole or not at all; to stdout, in place of all else,
// if path is "-".
func (o *Output) AddProfile(format ProfileFormat, path string) error {
	if path == "" {
		return nil
	}
	if path == "-" {
		if o.instead {
			return Usagef("--pprof - and --folded - exclude each other: stdout has room for one")
		}
		if format == ProfilePprof && term.IsTerminal(int(o.Stdout.Fd())) {
			return Usagef("--pprof - writes a compressed file to the terminal: name a file")
		}
		o.instead = true
	}
	out, err := OpenOutput(path, Table, o.Quiet, o.Stdout, o.Stderr)
	if err != nil {
		return fmt.Errorf("--%s %s", format, strings.TrimPrefix(err.Error(), "-o "))
	}
	o.profiles = append(o.profiles, profileOutput{format, out})
	return nil
}

// WantsSamples tells whether profiles are to be made.
func (o *Output) WantsSamples() bool { return len(o.profiles) > 0 }

// CheckProfiles refuses to make a profile of what has no stacks.
func (o *Output) CheckProfiles(recipe string, values []ProfileValue) error {
	if len(o.profiles) > 0 && len(values) == 0 {
		return Usagef("--%s: recipe %s gives no stacks to make a profile of; ri show %s lists what it gives",
			o.profiles[0].format, recipe, recipe)
	}
	return nil
}

// writeProfiles writes the files that were asked for.
func (o *Output) writeProfiles(r *Result) error {
	for _, p := range o.profiles {
		write := writePprof
		if p.format == ProfileFolded {
			write = writeFolded
		}
		err := p.out.Write(func(w io.Writer) error { return write(w, r) })
		if err == nil {
			err = p.out.Commit()
		}
		if err != nil {
			return err
		}
		if p.out.path != "" && !o.Quiet {
			fmt.Fprintf(o.Stderr, "%s: %s of %s\n", p.out.path, Plural(int64(len(r.Samples)), "stack"), profileTitle(r))
		}
	}
	return nil
}

func profileTitle(r *Result) string {
	names := make([]string, len(r.Profile))
	for i, v := range r.Profile {
		names[i] = v.Type
	}
	return strings.Join(names, ", ")
}

// writePprof writes the samples in pprof's format, compressed.
func writePprof(w io.Writer, r *Result) error {
	p := &profile.Profile{
		TimeNanos: r.Time.UnixNano(), DurationNanos: int64(r.Sampled),
		Mapping: []*profile.Mapping{{ID: 1, File: r.Target.Executable, BuildID: r.Target.BuildID, HasFunctions: true,
			HasFilenames: true, HasLineNumbers: true, HasInlineFrames: true}},
		Comments: append([]string{"made by ri run " + r.Recipe}, r.Partial...),
	}
	for _, v := range r.Profile {
		p.SampleType = append(p.SampleType, &profile.ValueType{Type: v.Type, Unit: v.Unit})
	}
	functions, locations := map[SampleFrame]*profile.Function{}, map[SampleFrame]*profile.Location{}
	for _, s := range r.Samples {
		sample := &profile.Sample{Value: s.Values}
		for k, v := range s.Labels {
			if sample.Label == nil {
				sample.Label = map[string][]string{}
			}
			sample.Label[k] = []string{v}
		}
		for _, f := range s.Frames {
			l := locations[f]
			if l == nil {
				named := SampleFrame{Func: f.Func, File: f.File}
				function := functions[named]
				if function == nil {
					function = &profile.Function{ID: uint64(len(functions) + 1), Name: f.Func, SystemName: f.Func, Filename: f.File}
					functions[named] = function
					p.Function = append(p.Function, function)
				}
				l = &profile.Location{ID: uint64(len(locations) + 1), Mapping: p.Mapping[0], Address: f.PC,
					Line: []profile.Line{{Function: function, Line: f.Line}}}
				locations[f] = l
				p.Location = append(p.Location, l)
			}
			sample.Location = append(sample.Location, l)
		}
		p.Sample = append(p.Sample, sample)
	}
	if err := p.CheckValid(); err != nil {
		return fmt.Errorf("the profile: %w", err)
	}
	return p.Write(w)
}

// writeFolded writes a line for each stack, outermost function first, with its last value: of several (objects, bytes)
// that is the one that pprof shows first too.
func writeFolded(w io.Writer, r *Result) error {
	total := map[string]int64{}
	for _, s := range r.Samples {
		if len(s.Values) == 0 || len(s.Frames) == 0 {
			continue
		}
		var b strings.Builder
		for i := len(s.Frames) - 1; i >= 0; i-- {
			if b.Len() > 0 {
				b.WriteByte(';')
			}
			b.WriteString(inert.Line(foldedName.Replace(s.Frames[i].Func)))
		}
		total[b.String()] += s.Values[len(s.Values)-1]
	}
	stacks := make([]string, 0, len(total))
	for stack := range total {
		stacks = append(stacks, stack)
	}
	sort.Strings(stacks)
	var out bytes.Buffer
	for _, stack := range stacks {
		fmt.Fprintf(&out, "%s %d\n", stack, total[stack])
	}
	_, err := w.Write(out.Bytes())
	return err
}

// foldedName keeps a name from being taken for two, or for two lines.
var foldedName = strings.NewReplacer(";", ":", "\n", " ", "\r", " ")

package commands

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/record/conns"
	"ri/record/format"
	"ri/record/redact"
	"ri/record/scrub"
	"ri/record/streams"
)

// StreamsOptions say which streams are recorded, and what of them is kept.
type StreamsOptions struct {
	File          string
	Command       []string // is started, and recorded from its first call
	Listen, To    []string
	All           bool // which is what is recorded without Listen and To
	Payload, Sent bool
	Copy, CopyRaw []string // files that are taken along: with tokens, as they are
	WithKeys      bool     // also files with private keys
	KeyFile       string
	Policy        string // a file of rules
	NoRandom      bool   // random bytes aren't kept, which are otherwise with Payload
	For           time.Duration
	MiB           int // of bytes that are kept at most; 0: no limit
}

func (o StreamsOptions) check(choice looks.TargetChoice) error {
	switch {
	case len(o.Command) > 0 && choice.Given():
		return rows.Usagef("a process (-p PID) and a command (-- COMMAND) exclude each other")
	case len(o.Command) == 0 && choice.PID == "":
		return rows.Usagef("streams are recorded of a process (-p PID), or of a command that is started (-- COMMAND)")
	case o.File == "" || o.File == "-":
		return rows.Usagef("ri record streams writes into a file: name one that isn't there yet (-o FILE)")
	case o.All && len(o.Listen)+len(o.To) > 0:
		return rows.Usagef("--all is everything: leave out --listen and --to, or --all")
	case o.Sent && !o.Payload:
		return rows.Usagef("--sent keeps bytes that went out, beside those that came in: it goes with --payload")
	case len(o.Copy)+len(o.CopyRaw) > 0 && !o.Payload:
		return rows.Usagef("--copy takes files along for a replay, which needs bytes, too: it goes with --payload")
	case o.For < 0 || o.MiB < 0:
		return rows.Usagef("--for and --limit can't be below 0")
	}
	return notThere(o.File)
}

// RecordStreams records a program's streams: all that comes in and goes out of its connections.
func RecordStreams(ctx context.Context, out *rows.Output, choice looks.TargetChoice, o StreamsOptions) error {
	if err := o.check(choice); err != nil {
		return err
	}
	key := redact.NewKey()
	if o.KeyFile != "" {
		var err error
		if key, err = keyOf(o.KeyFile, key); err != nil {
			return err
		}
	}
	var child *started
	if len(o.Command) > 0 {
		var err error
		if child, err = startStopped(o.Command); err != nil {
			return rows.Refused(err)
		}
		defer child.end()
		choice.PID = strconv.Itoa(child.pid)
	}
	s, err := looks.OpenSession(choice)
	if err != nil {
		return err
	}
	defer s.Close()
	r := &streamRecording{out: out, o: o, session: s, child: child, pid: s.Target.PID(), scrub: scrub.New(key)}
	if err := r.policy(); err != nil {
		return err
	}
	if err := newFile(o.File, func(file *os.File) error { return r.record(ctx, file) }); err != nil {
		return err
	}
	return r.report()
}

// policy has the rules of a file say which names are secrets'. What is replaced stays as long, so a token is what
// token, mask and drop give.
func (r *streamRecording) policy() error {
	if r.o.Policy == "" {
		return nil
	}
	p, err := policyOf(r.o.Policy)
	if err != nil {
		return err
	}
	names := 0
	for _, rule := range p.Rules {
		if rule == (redact.Rule{Action: rule.Action, Field: rule.Field}) {
			names++
		}
	}
	if names < len(p.Rules) {
		r.out.Log(fmt.Sprintf("note: of %s %d say nothing here: of streams only names of fields are known",
			rows.Plural(int64(len(p.Rules)), "rule"), len(p.Rules)-names))
	}
	r.header.Asked.Policy = rows.Plural(int64(names), "rule")
	r.scrub.Named = func(name string) (secret, known bool) {
		action, known := p.Named(name)
		return action != redact.Keep, known
	}
	return nil
}

// streamRecording is a recording that is being made.
type streamRecording struct {
	out     *rows.Output
	o       StreamsOptions
	session *looks.Session
	child   *started
	pid     int
	scrub   *scrub.Scrubber
	files   []fileAlong
	header  streams.Header
	size    int64
	length  time.Duration
	calls   uint64
	moved   uint64
}

// fileAlong is a file that is taken along, as it goes into the recording.
type fileAlong struct {
	streams.File
	content []byte
}

// mostAlong bounds a file that is taken along, in bytes.
const mostAlong = 1 << 30

func (r *streamRecording) record(ctx context.Context, file *os.File) error {
	// What it was started with comes first: secrets in there are found in streams.
	if err := r.describe(); err != nil {
		return rows.Refused(err)
	}
	for _, list := range []struct {
		paths []string
		raw   bool
	}{{r.o.Copy, false}, {r.o.CopyRaw, true}} {
		for _, path := range list.paths {
			if err := r.along(path, list.raw); err != nil {
				return err
			}
		}
	}
	if r.o.Payload {
		if err := r.lookups(); err != nil {
			return rows.Refused(err)
		}
	}
	f, err := format.NewStream(file, r.header)
	if err != nil {
		return err
	}
	w := streams.NewWriter(f)
	for i, one := range r.files {
		for rest := one.content; len(rest) > 0; {
			n := min(len(rest), streams.MaxData)
			if err := w.File(i, rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
	r.out.Log("every process of this host pays some 70 ns for each system call while this goes on; the one that is " +
		"recorded some 2 us for a read or write of 1 KiB, 40 us for one of 64 KiB")
	recorder, err := conns.New(conns.Options{PID: r.pid, Goid: r.goid(), Payload: r.o.Payload,
		Sent: r.o.Sent, Listen: r.o.Listen, To: r.o.To, Scrub: r.scrub, Writer: w,
		File: r.session.File, Random: r.header.Asked.Random, Most: int64(r.o.MiB) << 20})
	if err != nil {
		return rows.Refused(err)
	}
	defer recorder.Close()
	begun := time.Now()
	r.child.run()
	r.out.Log(fmt.Sprintf("recording pid %d: Ctrl-C ends it", r.pid))
	defer rows.Finishing()() // Ctrl-C ends it, which takes as long as the program and the file need
	ended, err := r.follow(ctx, recorder)
	if err != nil {
		return err
	}
	r.length = time.Since(begun)
	r.finish(recorder, ended)
	if err := w.Close(&r.header); err != nil {
		return err
	}
	r.size, err = file.Seek(0, io.SeekCurrent)
	return err
}

// goid is where a runtime.g has its number.
func (r *streamRecording) goid() int64 {
	_, space := r.session.Memory()
	return space.Layouts().Goroutine.ID.Offset
}

// grace is how long a program that ri started may take to end when it is asked to: what it does then is recorded.
const grace = 10 * time.Second

// follow records until the end: that of the program, that of the time, or Ctrl-C. A program that ri started is ended
// by that, and its end is recorded.
func (r *streamRecording) follow(ctx context.Context, recorder *conns.Recorder) (string, error) {
	asked := ctx
	if r.o.For > 0 {
		var cancel context.CancelFunc
		asked, cancel = context.WithTimeout(ctx, r.o.For)
		defer cancel()
	}
	if r.child == nil {
		ended, err := recorder.Run(asked)
		return r.why(ctx, asked, ended), err
	}
	last, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := context.AfterFunc(asked, func() {
		r.child.ask()
		time.AfterFunc(grace, cancel)
	})
	defer stop()
	ended, err := recorder.Run(last)
	if ended == conns.EndedExited {
		r.child.cmd.Wait()
		if state := r.child.cmd.ProcessState; state != nil {
			code := exitCode(state)
			r.header.Process.Exit = &code
		}
	}
	if asked.Err() != nil {
		ended = r.why(ctx, asked, conns.EndedAsked)
	}
	return ended, err
}

// why says how it ended, as the header has it.
func (r *streamRecording) why(ctx, asked context.Context, ended string) string {
	if ended == conns.EndedAsked && ctx.Err() == nil && errors.Is(asked.Err(), context.DeadlineExceeded) {
		return "time"
	}
	return ended
}

// describe says what the process is.
func (r *streamRecording) describe() error {
	h := &r.header
	h.Kind, h.Ri, h.Begun = streams.HeaderKind, OwnVersion(), time.Now().UTC()
	h.Asked = streams.Asked{FromBirth: r.child != nil, Payload: r.o.Payload, Sent: r.o.Sent, Listen: r.o.Listen,
		To: r.o.To, Random: r.o.Payload && !r.o.NoRandom, Policy: h.Asked.Policy}
	read := func(name string) ([]string, error) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", r.pid, name))
		if err != nil {
			return nil, fmt.Errorf("pid %d: its %s: %w", r.pid, name, rows.UnwrapPath(err))
		}
		list := strings.Split(string(text), "\x00")
		return list[:len(list)-1], nil
	}
	args, err := read("cmdline")
	if err != nil {
		return err
	}
	env, err := read("environ")
	if err != nil {
		return err
	}
	p := &h.Process
	p.PID, p.Exe, p.GoVersion = r.pid, r.session.Target.ExecutablePath(), r.session.File.GoVersion()
	p.Module, _ = r.session.File.MainModule()
	p.Env, p.Args = r.scrub.Environment(env), r.scrub.Arguments(args)
	if p.Dir, err = os.Readlink(fmt.Sprintf("/proc/%d/cwd", r.pid)); err != nil {
		return fmt.Errorf("pid %d: its working folder: %w", r.pid, rows.UnwrapPath(err))
	}
	if p.ExeSHA256, err = digestOf(fmt.Sprintf("/proc/%d/exe", r.pid)); err != nil {
		return fmt.Errorf("pid %d: its executable: %w", r.pid, rows.UnwrapPath(err))
	}
	if r.child != nil && h.Asked.Random {
		if p.Boot, err = r.child.boot(); err != nil {
			return fmt.Errorf("pid %d: its AT_RANDOM: %w", r.pid, rows.UnwrapPath(err))
		}
	}
	if host, err := os.Hostname(); err == nil {
		p.Host = string(redactedHost(r.scrub, host))
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.pid))
	if err != nil {
		return fmt.Errorf("pid %d: %w", r.pid, rows.UnwrapPath(err))
	}
	for line := range strings.Lines(string(status)) {
		if ids, ok := strings.CutPrefix(line, "Uid:"); ok {
			fmt.Sscan(ids, &p.UID)
		}
		if pids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			for _, pid := range strings.Fields(pids) {
				p.OwnPID, _ = strconv.Atoi(pid)
			}
		}
	}
	return nil
}

// redactedHost is the host's name as a token, which isn't looked for in streams.
func redactedHost(s *scrub.Scrubber, host string) []byte { return s.Made([]byte(host)) }

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// along takes a file along. One with a private key goes only if that was asked for by name.
func (r *streamRecording) along(path string, raw bool) error {
	flag := "--copy"
	if raw {
		flag = "--copy-raw"
	}
	refuse := func(err error) error { return rows.Usage(fmt.Errorf("%s %s: %w", flag, path, rows.UnwrapPath(err))) }
	abs, err := filepath.Abs(path)
	if err != nil {
		return refuse(err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return refuse(err)
	}
	if !info.Mode().IsRegular() || info.Size() > mostAlong {
		return refuse(fmt.Errorf("only a file can be taken along, of up to %s", rows.ShortBytes(mostAlong)))
	}
	content, err := os.ReadFile(abs)
	if err != nil {
		return refuse(err)
	}
	if scrub.PrivateKey(content) && !r.o.WithKeys {
		return refuse(errors.New("it has a private key, and such a file is taken along with --with-keys only"))
	}
	r.take(abs, content, info, raw)
	return nil
}

// lookups takes along what says how names are looked up: a program asks its name server for other names if it finds
// other files.
func (r *streamRecording) lookups() error {
	for _, path := range []string{"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"} {
		if slices.ContainsFunc(r.files, func(f fileAlong) bool { return f.Path == path }) {
			continue
		}
		theirs := fmt.Sprintf("/proc/%d/root%s", r.pid, path)
		info, err := os.Stat(theirs)
		if errors.Is(err, fs.ErrNotExist) || err == nil && (!info.Mode().IsRegular() || info.Size() > streams.MaxData) {
			continue
		}
		var content []byte
		if err == nil {
			content, err = os.ReadFile(theirs)
		}
		if err != nil {
			return fmt.Errorf("pid %d: its %s: %w", r.pid, path, rows.UnwrapPath(err))
		}
		r.take(path, content, info, false)
	}
	return nil
}

// take has a file be in the recording.
func (r *streamRecording) take(path string, content []byte, info fs.FileInfo, raw bool) {
	if !raw {
		r.scrub.Bytes(content)
	}
	r.files = append(r.files, fileAlong{streams.File{Path: path, Mode: uint32(info.Mode().Perm()),
		Size: int64(len(content)), SHA256: fmt.Sprintf("%x", sha256.Sum256(content)), Raw: raw}, content})
	r.header.Process.Files = append(r.header.Process.Files, r.files[len(r.files)-1].File)
}

// finish fills in what is known at the end.
func (r *streamRecording) finish(recorder *conns.Recorder, ended string) {
	r.header.Ended, r.header.Counts, r.header.Incomplete = ended, recorder.Counts(), recorder.Incomplete()
	r.calls, r.moved = recorder.Cost()
	for _, t := range r.scrub.Tokens() {
		r.header.Process.Tokens = append(r.header.Process.Tokens, streams.Token{Field: t.Field, Text: t.Text})
	}
}

func (r *streamRecording) report() error {
	h := &r.header
	for _, line := range h.Incomplete {
		r.out.Log("note: " + line)
	}
	if r.out.Format != rows.Table {
		if err := r.out.WriteOne(append(rows.Of("file", r.o.File, "size_bytes", r.size), streamsRow(h)...)); err != nil {
			return err
		}
		return r.out.Commit()
	}
	text := fmt.Sprintf("%s: %s, %s\nread it before it is sent: ri recording check %s\n", r.o.File,
		rows.ShortBytes(r.size), streamsText(h), r.o.File)
	if err := r.out.WriteText(text); err != nil {
		return err
	}
	return r.out.Commit()
}

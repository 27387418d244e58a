package commands

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"ri/files"
	"ri/instruments/rows"
	"ri/record"
	"ri/record/format"
	"ri/record/streams"
)

// openStreams opens a recording of streams; nil where the file is something else, which others say.
func openStreams(path string) (*os.File, *streams.Reader, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, nil, nil
	}
	r, err := readStreams(f, path)
	if r == nil {
		f.Close()
		f = nil
	}
	if err != nil {
		err = rows.Refused(err)
	}
	return f, r, err
}

func readStreams(f *os.File, path string) (*streams.Reader, error) {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, nil
	}
	file, err := format.Open(f, info.Size(), path)
	if err != nil {
		return nil, nil
	}
	r, err := streams.NewReader(file)
	if errors.Is(err, streams.ErrNotStreams) {
		return nil, nil
	}
	return r, err
}

// streamsRow is what a recording of streams holds, for machines.
func streamsRow(h *streams.Header) rows.Row {
	c := h.Counts
	var incomplete []any
	for _, line := range h.Incomplete {
		incomplete = append(incomplete, line)
	}
	return rows.Of("events", int64(c.Events), "connections", int64(c.Connections), "in_bytes", int64(c.In), "out_bytes",
		int64(c.Out), "lost", int64(c.Lost), "holes", int64(c.Holes), "tokens", int64(len(h.Process.Tokens)), "files",
		int64(len(h.Process.Files)), "ended", h.Ended, "incomplete", incomplete)
}

// streamsText is the same for people.
func streamsText(h *streams.Header) string {
	c := h.Counts
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s; %s came in, %s went out; ended: %s\n", rows.Plural(int64(c.Events), "event"),
		rows.Plural(int64(c.Connections), "connection"), rows.ShortBytes(int64(c.In)), rows.ShortBytes(int64(c.Out)), h.Ended)
	switch {
	case c.Lost > 0:
		fmt.Fprintf(&b, "NOT WHOLE: %s lost, %s known by size only", rows.Plural(int64(c.Lost), "call"),
			rows.ShortBytes(int64(c.Holes)))
	case c.Holes > 0:
		fmt.Fprintf(&b, "nothing is lost; %s known by size only", rows.ShortBytes(int64(c.Holes)))
	default:
		b.WriteString("nothing is lost")
	}
	switch {
	case !h.Asked.Payload:
		b.WriteString("; sizes and times only (--payload keeps bytes)")
	default:
		fmt.Fprintf(&b, "; %s in the place of secrets", rows.Plural(int64(len(h.Process.Tokens)), "token"))
	}
	return b.String()
}

// streamsInfo says what a recording of streams is of.
func streamsInfo(out *rows.Output, path string, r *streams.Reader) error {
	h := &r.Header
	p := &h.Process
	if out.Format != rows.Table {
		row := rows.Of("file", path, "cut_short", r.CutShort(), "module", p.Module, "go", p.GoVersion, "exe", p.Exe,
			"exe_sha256", p.ExeSHA256, "made", h.Begun, "from_birth", h.Asked.FromBirth, "payload", h.Asked.Payload, "sent",
			h.Asked.Sent, "random", h.Asked.Random)
		return out.WriteOne(append(row, streamsRow(h)...))
	}
	var b strings.Builder
	how := "while it ran"
	if h.Asked.FromBirth {
		how = "from its start"
	}
	fmt.Fprintf(&b, "streams of %s (%s), %s, recorded %s\nmade %s by ri %s\narguments: %s\n", p.Module, p.Exe, p.GoVersion,
		how, h.Begun.Format("2006-01-02 15:04:05 MST"), h.Ri, strings.Join(p.Args, " "))
	if r.CutShort() {
		b.WriteString("cut short: there is no end mark, so nothing was counted\n")
	} else {
		b.WriteString(streamsText(h) + "\n")
	}
	if h.Asked.Random {
		b.WriteString("it has random bytes, which keys were made of\n")
	}
	for _, f := range p.Files {
		how := "with tokens"
		if f.Raw {
			how = "AS IT IS"
		}
		fmt.Fprintf(&b, "file: %s, %s, %s\n", f.Path, rows.ShortBytes(f.Size), how)
	}
	for _, line := range h.Incomplete {
		fmt.Fprintf(&b, "note: %s\n", line)
	}
	fmt.Fprintf(&b, "next: ri recording check %s shows what is in clear; ri replay %s runs the program on it\n", path,
		path)
	return out.WriteText(b.String())
}

// streamsVerify reads all of a recording.
func streamsVerify(out *rows.Output, path string, r *streams.Reader) error {
	n := int64(0)
	for _, err := range r.Events() {
		if err != nil {
			return rows.Refused(fmt.Errorf("%s: behind event %d: %w", path, n, err))
		}
		n++
	}
	for i, f := range r.Header.Process.Files {
		if f.Size == 0 {
			continue
		}
		if err := r.Content(i, io.Discard); err != nil {
			return rows.Refused(fmt.Errorf("%s: file %s: %w", path, f.Path, err))
		}
	}
	switch {
	case r.CutShort():
		return rows.Refused(fmt.Errorf("%s has no end mark; %s are whole: %w", path, rows.Plural(n, "event"),
			format.ErrCutShort))
	case uint64(n) != r.Header.Counts.Events:
		return rows.Refused(fmt.Errorf("%s has %s, its header says %d: %w", path, rows.Plural(n, "event"),
			r.Header.Counts.Events, format.ErrMalformed))
	}
	return sayWhole(out, path, "event", n)
}

// streamsCheck is RecordingCheck of a recording of streams.
func streamsCheck(out *rows.Output, path string, r *streams.Reader, words []string, opt AuditOptions) error {
	if opt.HTML != "" {
		return rows.Usagef("--html is for recordings of state")
	}
	audit, err := record.CheckStreams(r, words, opt.All)
	if err != nil {
		return rows.Refused(fmt.Errorf("%s: %w", path, err))
	}
	return reportAudit(out, path, audit, len(words))
}

// exportedEvent is an event as it is exported.
type exportedEvent struct {
	Seq       uint64 `json:"seq"`
	Kind      string `json:"kind"`
	Mono      int64  `json:"mono"`
	Wall      int64  `json:"wall"`
	Goroutine uint64 `json:"goroutine,omitempty"`
	Thread    uint32 `json:"thread,omitempty"`
	Conn      uint32 `json:"conn,omitempty"`
	TLS       bool   `json:"tls,omitempty"`
	Inbound   bool   `json:"inbound,omitempty"`
	Dialled   bool   `json:"dialled,omitempty"`
	Network   string `json:"network,omitempty"`
	Local     string `json:"local,omitempty"`
	Peer      string `json:"peer,omitempty"`
	Errno     int32  `json:"errno,omitempty"`
	Error     string `json:"error,omitempty"`
	Size      int64  `json:"size"`
	Data      string `json:"data64,omitempty"`
	Digest    string `json:"sha256,omitempty"`
	Why       string `json:"why,omitempty"`
}

// streamsExport writes a recording as JSON, its header and then an event a line.
func streamsExport(out *rows.Output, path string, r *streams.Reader, opt ExportOptions) error {
	if opt.Core {
		return rows.Usagef("--core is for recordings of state: %s is one of streams", path)
	}
	write := func(w io.Writer) error {
		enc := json.NewEncoder(w)
		if err := enc.Encode(r.Header); err != nil {
			return err
		}
		for e, err := range r.Events() {
			if err != nil {
				return rows.Refused(fmt.Errorf("%s: %w", path, err))
			}
			one := exportedEvent{Seq: e.Seq, Kind: e.Kind.String(), Mono: e.Mono, Wall: e.Wall, Goroutine: e.Goroutine,
				Thread: e.Thread, Conn: e.Conn, TLS: e.TLS, Inbound: e.Inbound, Dialled: e.Dialled, Network: e.Network,
				Local: e.Local, Peer: e.Peer, Errno: e.Errno, Size: e.Size, Data: base64.StdEncoding.EncodeToString(e.Data),
				Digest: hex.EncodeToString(e.Digest), Why: e.Why}
			if e.Errno != 0 {
				one.Error = unix.ErrnoName(unix.Errno(e.Errno))
			}
			if err := enc.Encode(one); err != nil {
				return err
			}
		}
		return nil
	}
	if opt.File == "" {
		if err := write(out.Stdout); err != nil && !errors.Is(err, unix.EPIPE) {
			return err
		}
		return nil
	}
	return newFile(opt.File, func(file *os.File) error { return write(file) })
}

package record

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"golang.org/x/net/http2"

	"ri/record/frames"
	"ri/record/streams"
)

// CheckStreams looks through a recording of streams as Check does through one of state: at its bytes, put together by
// connection and direction, since what nobody should see may be cut anywhere.
//
// Errors: those of package streams.
func CheckStreams(r *streams.Reader, words []string, all bool) (*Audit, error) {
	c := streamsAudit{audit: &Audit{}, words: words, all: all, kept: map[string]*KeptTexts{}, parts: map[string][]byte{},
		two: map[string]*frames.Reader{}}
	for _, t := range r.Header.Process.Tokens {
		if len(t.Text) >= 6 {
			c.tokens, c.texts = append(c.tokens, t.Text), append(c.texts, string(t.Text))
		}
	}
	c.search("the header", mustJSON(r.Header), false)
	names := map[uint32]string{}
	for e, err := range r.Events() {
		if err != nil {
			return nil, err
		}
		switch e.Kind {
		case streams.Accept, streams.Existing, streams.Listen:
			names[e.Conn] = cmp.Or(e.Local, names[e.Conn], "a socket")
		case streams.Dial:
			names[e.Conn] = cmp.Or(e.Peer, "a socket")
		case streams.Random:
			c.keep("random bytes", e.Data)
			continue
		}
		if len(e.Data) > 0 {
			direction := "in"
			if e.Kind == streams.Out {
				direction = "out"
			}
			c.data(direction+" at "+cmp.Or(names[e.Conn], "a socket"), fmt.Sprintf("connection %d, %s", e.Conn, direction),
				e.Data)
		}
		if e.Kind == streams.Close {
			for _, direction := range []string{"in", "out"} {
				where := fmt.Sprintf("connection %d, %s", e.Conn, direction)
				c.end(where)
				delete(c.two, where)
			}
			delete(names, e.Conn)
		}
	}
	for _, where := range slices.Sorted(maps.Keys(c.parts)) {
		c.end(where)
	}
	for i, f := range r.Header.Process.Files {
		var content bytes.Buffer
		if f.Size > 0 {
			if err := r.Content(i, &limited{&content, searchFile}); err != nil {
				return nil, err
			}
		}
		c.keep("file "+f.Path, content.Bytes()[:min(content.Len(), 256)])
		c.search("file "+f.Path, content.Bytes(), true)
	}
	for _, field := range slices.Sorted(maps.Keys(c.kept)) {
		c.audit.Kept = append(c.audit.Kept, *c.kept[field])
	}
	c.audit.close()
	return c.audit, nil
}

// searchFile is how much of a file is looked through.
const searchFile = 256 << 20

// limited takes no more than so much.
type limited struct {
	to   io.Writer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), l.left)
	l.left -= n
	if _, err := l.to.Write(b[:n]); err != nil {
		return 0, err
	}
	return len(b), nil
}

type streamsAudit struct {
	audit   *Audit
	words   []string
	all     bool
	kept    map[string]*KeptTexts
	sampled int
	parts   map[string][]byte         // what wasn't looked through yet
	two     map[string]*frames.Reader // of directions of connections; nil: it isn't HTTP/2
	tokens  [][]byte
	texts   []string // the tokens
}

// data takes bytes of a direction of a connection. Header fields of HTTP/2 are looked through as text, and data of its
// streams by themselves.
func (c *streamsAudit) data(field, where string, data []byte) {
	r, begun := c.two[where]
	if !begun && frames.Begins(data) {
		r = frames.NewReader(!frames.Settings(data))
	}
	if c.two[where] = r; r == nil {
		c.keep(field, data)
		c.part(where, data)
		return
	}
	r.Write(data)
	for {
		f, err := r.Next()
		var one http2.StreamError
		switch {
		case errors.As(err, &one):
			continue
		case err != nil: // it is looked through as it is from here on
			c.two[where] = nil
			c.part(where, data)
			return
		case f == nil:
			return
		}
		var text []byte
		ended := false
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			text, ended = frames.Lines(f.Fields, false), f.StreamEnded()
		case *http2.DataFrame:
			text, ended = bytes.Clone(f.Data()), f.StreamEnded()
		case *http2.GoAwayFrame:
			text = bytes.Clone(f.DebugData())
		}
		of := fmt.Sprintf("%s, stream %d", where, f.Header().StreamID)
		if len(text) > 0 {
			c.keep(field, text)
			c.part(of, text)
		}
		if ended {
			c.end(of)
		}
	}
}

// mostParts bounds what is put together at once, in bytes of all streams.
const mostParts = 64 << 20

func (c *streamsAudit) part(where string, data []byte) {
	all := append(c.parts[where], data...)
	if len(all) >= searchPart {
		c.search(where, all, true)
		all = append([]byte(nil), all[len(all)-searchOverlap:]...)
	}
	c.parts[where] = all
	total := 0
	if len(c.parts)*searchPart > mostParts {
		for _, b := range c.parts {
			total += len(b)
		}
	}
	if total > mostParts {
		for _, where := range slices.Sorted(maps.Keys(c.parts)) {
			c.end(where)
		}
	}
}

func (c *streamsAudit) end(where string) {
	if b, ok := c.parts[where]; ok {
		c.search(where, b, true)
		delete(c.parts, where)
	}
}

// search looks through bytes. What has a token in it that the header names was replaced already.
func (c *streamsAudit) search(where string, data []byte, patterns bool) {
	before := len(c.audit.Found)
	s := searcher{audit: c.audit, block: where, words: c.words, patterns: patterns, tokens: c.texts}
	s.search(data)
	c.audit.Read += int64(len(data))
	c.audit.Found = append(c.audit.Found[:before], slices.DeleteFunc(c.audit.Found[before:], func(f Found) bool {
		return !slices.Contains(c.words, f.What) && slices.ContainsFunc(c.tokens, func(t []byte) bool {
			return bytes.Contains([]byte(f.Text), t[:min(len(t), maxShown/2)])
		})
	})...)
}

// keep notes bytes that are in clear.
func (c *streamsAudit) keep(field string, data []byte) {
	if len(data) == 0 {
		return
	}
	k := c.kept[field]
	if k == nil {
		k = &KeptTexts{Field: field}
		c.kept[field] = k
	}
	k.Count++
	k.Bytes += int64(len(data))
	sample := string(data)
	if !c.all && len(sample) > maxShown {
		sample = sample[:maxShown]
	}
	if (c.all || len(k.Samples) < maxSamples) && c.sampled < maxSampled && !slices.Contains(k.Samples, sample) {
		k.Samples = append(k.Samples, sample)
		c.sampled += len(sample)
	}
}

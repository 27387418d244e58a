//go:build linux && amd64

package player

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"ri/record/frames"
)

// session is our end of a connection with HTTP/2. It says and answers itself what belongs to no stream, and lets the
// program send as much as it likes.
type session struct {
	net.Conn
	client bool
	reader *http2.Framer
	begun  func(*stream) // a stream that the program began; nil: it is we who do

	writing sync.Mutex // of what is written
	writer  *http2.Framer
	encoded bytes.Buffer
	encoder *hpack.Encoder
	next    uint32 // our next stream

	mu      sync.Mutex
	changed *sync.Cond
	streams map[uint32]*stream
	window  int64 // what we may send
	initial int64 // of a stream
	most    int   // of a frame
	err     error // it has ended
}

// stream is one of HTTP/2, read as lines of header fields, and data.
type stream struct {
	*session
	why string // of what is written next

	id       uint32 // 0: nothing was written yet
	buf      bytes.Buffer
	end      error // of what is read
	window   int64
	deadline time.Time
	ended    bool // by us
}

// newSession begins HTTP/2 on a connection, as the recorded end did.
func newSession(raw net.Conn, settings []http2.Setting, begun func(*stream)) (*session, error) {
	x := &session{Conn: raw, client: begun == nil, begun: begun, next: 1, streams: map[uint32]*stream{}, window: 65535,
		initial: 65535, most: 16384, reader: frames.NewFramer(io.Discard, raw)}
	x.writer = http2.NewFramer(raw, nil)
	x.changed = sync.NewCond(&x.mu)
	x.encoder = hpack.NewEncoder(&x.encoded)
	if x.client {
		if _, err := io.WriteString(raw, http2.ClientPreface); err != nil {
			return nil, err
		}
	}
	var valid []http2.Setting
	for _, s := range settings {
		// The table of what the program sends is ours, and as large as we say.
		if s.Valid() == nil && s.ID != http2.SettingHeaderTableSize {
			valid = append(valid, s)
		}
	}
	return x, errors.Join(x.writer.WriteSettings(valid...), x.writer.WriteWindowUpdate(0, 1<<30))
}

// run reads what the program writes, until the end.
func (x *session) run() error {
	if !x.client {
		begins := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(x.Conn, begins); err != nil {
			return x.fail(err)
		}
		if string(begins) != http2.ClientPreface {
			return x.fail(errors.New("the program doesn't speak HTTP/2, as it did"))
		}
	}
	for {
		f, err := x.reader.ReadFrame()
		var one http2.StreamError
		if errors.As(err, &one) {
			x.ends(one.StreamID, one)
			continue
		}
		if err != nil {
			return x.fail(err)
		}
		x.frame(f)
	}
}

// fail has all streams end.
func (x *session) fail(err error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.err = err
	x.changed.Broadcast()
	return err
}

// ends ends what is read of a stream.
func (x *session) ends(id uint32, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s := x.streams[id]; s != nil && s.end == nil {
		s.end = err
	}
	x.changed.Broadcast()
}

func (x *session) frame(f http2.Frame) {
	id := f.Header().StreamID
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		x.add(id, frames.Lines(f.Fields, true))
		if f.StreamEnded() {
			x.ends(id, io.EOF)
		}
	case *http2.DataFrame:
		x.add(id, f.Data())
		if f.StreamEnded() {
			x.ends(id, io.EOF)
		}
		if n := f.Length; n > 0 {
			x.write(func() error { return errors.Join(x.writer.WriteWindowUpdate(0, n), x.writer.WriteWindowUpdate(id, n)) })
		}
	case *http2.RSTStreamFrame:
		x.ends(id, http2.StreamError{StreamID: id, Code: f.ErrCode})
	case *http2.SettingsFrame:
		if !f.IsAck() {
			x.set(f)
			x.write(x.writer.WriteSettingsAck)
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			x.write(func() error { return x.writer.WritePing(true, f.Data) })
		}
	case *http2.WindowUpdateFrame:
		x.mu.Lock()
		if s := x.streams[id]; s != nil {
			s.window += int64(f.Increment)
		} else if id == 0 {
			x.window += int64(f.Increment)
		}
		x.changed.Broadcast()
		x.mu.Unlock()
	}
}

// add takes what came on a stream, which the program may begin.
func (x *session) add(id uint32, b []byte) {
	x.mu.Lock()
	s := x.streams[id]
	begins := s == nil && !x.client && id%2 == 1
	if begins {
		s = &stream{session: x, id: id, window: x.initial}
		x.streams[id] = s
	}
	if s != nil {
		s.buf.Write(b)
	}
	x.changed.Broadcast()
	x.mu.Unlock()
	if begins {
		x.begun(s)
	}
}

// set takes the program's settings.
func (x *session) set(f *http2.SettingsFrame) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f.ForeachSetting(func(s http2.Setting) error {
		switch s.ID {
		case http2.SettingInitialWindowSize:
			for _, one := range x.streams {
				one.window += int64(s.Val) - x.initial
			}
			x.initial = int64(s.Val)
		case http2.SettingMaxFrameSize:
			x.most = int(min(max(s.Val, 16384), 1<<24-1))
		case http2.SettingHeaderTableSize:
			go x.write(func() error { x.encoder.SetMaxDynamicTableSizeLimit(s.Val); return nil })
		}
		return nil
	})
	x.changed.Broadcast()
}

func (x *session) write(f func() error) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	return f()
}

// goAway says that we take no more streams; those that there are go on.
func (x *session) goAway(code http2.ErrCode, why []byte) error {
	return x.write(func() error { return x.writer.WriteGoAway(1<<31-1, code, why) })
}

// Read ends when the connection does: what comes on it comes on its streams.
func (x *session) Read([]byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for x.err == nil {
		x.changed.Wait()
	}
	return 0, x.err
}

// Read reads what the program says on the stream.
func (s *stream) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.buf.Len() == 0 {
		switch {
		case s.end != nil:
			return 0, s.end
		case s.err != nil:
			return 0, s.err
		}
		s.changed.Wait()
	}
	return s.buf.Read(b)
}

// Write writes header fields, or data as far as the program lets us.
func (s *stream) Write(b []byte) (n int, err error) {
	if s.why == whyFields || s.why == whyEnd {
		return len(b), s.writeFields(b)
	}
	for n < len(b) && err == nil {
		var size int
		if size, err = s.room(len(b) - n); err == nil {
			last := s.why == whyLast && n+size == len(b)
			s.ended = s.ended || last
			err = s.session.write(func() error { return s.writer.WriteData(s.id, last, b[n:n+size]) })
			n += size
		}
	}
	return n, err
}

func (s *stream) writeFields(text []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.id == 0 {
		s.id = s.next
		s.next += 2
		s.mu.Lock()
		s.window = s.initial
		s.streams[s.id] = s
		s.mu.Unlock()
	}
	s.encoded.Reset()
	for _, f := range frames.Fields(text) {
		if err := s.encoder.WriteField(f); err != nil {
			return err
		}
	}
	s.ended = s.ended || s.why == whyEnd
	block := s.encoded.Bytes()
	n := min(len(block), s.most)
	err := s.writer.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: block[:n],
		EndStream: s.why == whyEnd, EndHeaders: n == len(block)})
	for block = block[n:]; len(block) > 0 && err == nil; block = block[n:] {
		n = min(len(block), s.most)
		err = s.writer.WriteContinuation(s.id, n == len(block), block[:n])
	}
	return err
}

// room waits until something may be sent, and takes that much.
func (s *stream) room(n int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	alarm := time.AfterFunc(time.Until(s.deadline), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})
	defer alarm.Stop()
	for {
		size := min(int64(n), s.window, s.session.window, int64(s.most))
		switch {
		case s.id == 0:
			return 0, errors.New("data before header fields")
		case s.err != nil:
			return 0, s.err
		case size > 0:
			s.window -= size
			s.session.window -= size
			return int(size), nil
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return 0, os.ErrDeadlineExceeded
		}
		s.changed.Wait()
	}
}

// SetWriteDeadline ends a Write that waits for the program.
func (s *stream) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	return nil
}

// CloseWrite is the end of what we say.
func (s *stream) CloseWrite() error {
	if s.ended || s.id == 0 {
		return nil
	}
	s.ended = true
	return s.session.write(func() error { return s.writer.WriteData(s.id, true, nil) })
}

// Close cancels the stream.
func (s *stream) Close() error {
	if s.id == 0 {
		return nil
	}
	s.ends(s.id, io.EOF)
	return s.session.write(func() error { return s.writer.WriteRSTStream(s.id, http2.ErrCodeCancel) })
}

// prefaced are the bytes that a connection began with, and what follows.
type prefaced struct {
	net.Conn
	io.Reader
}

func (c prefaced) Read(b []byte) (int, error) { return c.Reader.Read(b) }

// speaks2 tells whether what the program says first is HTTP/2's.
func speaks2(raw net.Conn) (net.Conn, bool) {
	begins := make([]byte, len(http2.ClientPreface))
	n := 0
	for n < len(begins) && bytes.HasPrefix([]byte(http2.ClientPreface), begins[:n]) {
		more, err := raw.Read(begins[n:])
		if n += more; err != nil {
			break
		}
	}
	return prefaced{raw, io.MultiReader(bytes.NewReader(begins[:n]), raw)}, string(begins[:n]) == http2.ClientPreface
}

// beginStream begins a stream of HTTP/2.
func (p *player) beginStream(c *conn) error {
	p.mu.Lock()
	l := p.lives[p.plan.carried[c.id]]
	p.mu.Unlock()
	if l == nil {
		return errors.New("the connection of a stream of HTTP/2 wasn't taken")
	}
	s, ok := l.c.(*session)
	if !ok {
		return errors.New("the connection of a stream of HTTP/2 has none")
	}
	p.plays(c, &stream{session: s})
	return nil
}

// goAway has the program know that no more streams are taken on a connection with HTTP/2.
func (p *player) goAway(c *conn, i, after int) {
	e := &p.plan.events[i]
	p.until(e)
	p.outputs()
	p.clock.at(i, after)
	p.mu.Lock()
	l := p.lives[c.id]
	for _, one := range p.dialled {
		if _, ok := one.c.(*session); ok && one.conn == c {
			l = one
		}
	}
	p.mu.Unlock()
	if l != nil {
		if s, ok := l.c.(*session); ok {
			s.goAway(http2.ErrCode(e.Errno), e.Data)
		}
	}
	p.played(i)
}

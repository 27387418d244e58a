package flow

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// JournalSocket is where systemd's journal listens.
const JournalSocket = "/run/systemd/journal/socket"

// Journal gives lines to systemd's journal, by its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL, systemd 246): a
// datagram a line, whose fields are MESSAGE, the line as JSON, and by what one looks for it: RI_TENANT, RI_TRACE,
// RI_FLOW. Whoever logs doesn't wait for it: a line that is too long for a datagram, or that the journal doesn't take
// at once, is left out and counted; files have it.
type Journal struct {
	Socket string

	mu    sync.Mutex
	conn  *net.UnixConn
	left  int
	again time.Time // until then it is taken to be stuck
}

// Limits of waiting for the journal.
const (
	journalPatience = 10 * time.Millisecond
	journalRest     = time.Second
)

// NewJournal reaches the journal.
func NewJournal(socket string) (*Journal, error) {
	j := &Journal{Socket: socket}
	return j, j.open()
}

func (j *Journal) open() error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: j.Socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("systemd's journal can't be reached: %w", err)
	}
	j.conn = conn
	return nil
}

// Write implements Writer.
func (j *Journal) Write(l Line) error {
	text, err := l.text()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for _, f := range [][2]string{{"MESSAGE", strings.TrimSuffix(string(text), "\n")}, {"PRIORITY", "6"},
		{"SYSLOG_IDENTIFIER", "ri"}, {"RI_TENANT", l.Tenant}, {"RI_TRACE", l.Trace}, {"RI_FLOW", l.Flow}} {
		field(&b, f[0], f[1])
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	now := time.Now()
	if now.Before(j.again) {
		j.left++
		return nil
	}
	_, err = j.send(b.Bytes(), now.Add(journalPatience))
	late := errors.Is(err, os.ErrDeadlineExceeded)
	if late {
		j.again = now.Add(journalRest)
	}
	if late || errors.Is(err, syscall.EMSGSIZE) || errors.Is(err, syscall.ENOBUFS) {
		if j.left++; j.left == 1 {
			return fmt.Errorf("systemd's journal lacks lines, as it doesn't take them: %w", err)
		}
		return nil
	}
	return err
}

// field writes a field. What has more lines is written with its length, so that it is one field.
func field(b *bytes.Buffer, name, value string) {
	switch {
	case value == "":
	case strings.Contains(value, "\n"):
		b.WriteString(name + "\n")
		b.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(value))))
		b.WriteString(value + "\n")
	default:
		b.WriteString(name + "=" + value + "\n")
	}
}

// send sends a datagram. The journal may have been started anew.
func (j *Journal) send(b []byte, late time.Time) (n int, err error) {
	if j.conn != nil {
		_ = j.conn.SetWriteDeadline(late)
		if n, err = j.conn.Write(b); err == nil || errors.Is(err, syscall.EMSGSIZE) || errors.Is(err, syscall.ENOBUFS) ||
			errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		j.conn.Close()
		j.conn = nil
	}
	if err := j.open(); err != nil {
		return 0, err
	}
	_ = j.conn.SetWriteDeadline(late)
	return j.conn.Write(b)
}

// Close implements Writer.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var left error
	if j.left > 0 {
		left = fmt.Errorf("systemd's journal lacks %d lines, which the files have", j.left)
	}
	if j.conn == nil {
		return left
	}
	return errors.Join(left, j.conn.Close())
}

package flow

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// JournalSocket is where systemd's journal listens.
const JournalSocket = "/run/systemd/journal/socket"

// Journal gives lines to systemd's journal, by its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL, systemd 246): a
// datagram a line, whose fields are MESSAGE, the line as JSON, and by what one looks for it: RI_TENANT, RI_TRACE,
// RI_FLOW. A line that is too long for a datagram is counted and left out; files have it.
type Journal struct {
	Socket string

	mu      sync.Mutex
	conn    *net.UnixConn
	dropped int
}

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
	fmt.Fprintf(&b, "MESSAGE=%sPRIORITY=6\nSYSLOG_IDENTIFIER=ri\nRI_TENANT=%s\nRI_TRACE=%s\n", text, l.Tenant, l.Trace)
	if l.Flow != "" {
		fmt.Fprintf(&b, "RI_FLOW=%s\n", l.Flow)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err = j.send(b.Bytes())
	if errors.Is(err, syscall.EMSGSIZE) || errors.Is(err, syscall.ENOBUFS) {
		if j.dropped++; j.dropped == 1 {
			return errors.New("a line was too long for systemd's journal, which doesn't have it")
		}
		return nil
	}
	return err
}

// send sends a datagram. The journal may have been started anew.
func (j *Journal) send(b []byte) (n int, err error) {
	if j.conn != nil {
		if n, err = j.conn.Write(b); err == nil || errors.Is(err, syscall.EMSGSIZE) || errors.Is(err, syscall.ENOBUFS) {
			return n, err
		}
		j.conn.Close()
		j.conn = nil
	}
	if err := j.open(); err != nil {
		return 0, err
	}
	return j.conn.Write(b)
}

// Close implements Writer.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.conn == nil {
		return nil
	}
	return j.conn.Close()
}

package kernel

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
)

// TestSockets follows this very process: what it accepts, dials, reads, writes and closes, with the bytes, in an order
// in which nothing is read before it was written.
func TestSockets(t *testing.T) {
	s, err := FollowSockets(SocketOptions{PID: os.Getpid(), In: true, Out: true})
	if errors.Is(err, ErrUnable) && os.Getenv("RI_NEED_BPF") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	big := make([]byte, 300<<10) // several records
	for i := range big {
		big[i] = byte(i * i >> 3)
	}
	go func() {
		c, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			c.Write([]byte("hello"))
			pieces := net.Buffers{}
			for i := 0; i < len(big); i += 1000 {
				pieces = append(pieces, big[i:min(i+1000, len(big))])
			}
			pieces.WriteTo(c)
			c.(*net.TCPConn).CloseWrite()
			io.ReadAll(c)
			c.Close()
		}
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got[5:], big) {
		t.Fatalf("the test itself is wrong: %d bytes, %v", len(got), err)
	}
	c.Close()
	l.Close()
	s.Stop()
	counts := map[SocketKind]int{}
	moved := map[SocketKind]map[uint64][]byte{SocketRead: {}, SocketWrite: {}}
	seen := map[uint64]bool{}
	for {
		c, ok := s.Next()
		if !ok {
			break
		}
		if c.Void {
			continue
		}
		k := c.Kind()
		if counts[k]++; k == SocketRead || k == SocketWrite {
			if int(c.Offset) != len(moved[k][c.Seq]) {
				t.Errorf("bytes at %d, %d are known", c.Offset, len(moved[k][c.Seq]))
			}
			moved[k][c.Seq] = append(moved[k][c.Seq], c.Data...)
		} else if seen[c.Seq] {
			t.Errorf("two calls at %d", c.Seq)
		}
		seen[c.Seq] = true
	}
	for _, k := range []SocketKind{SocketOpen, SocketAccept, SocketConnect, SocketListen, SocketName, SocketShutdown} {
		if counts[k] == 0 {
			t.Errorf("no call of kind %d: %v", k, counts)
		}
	}
	if counts[SocketClose] < 3 {
		t.Errorf("%d closes", counts[SocketClose])
	}
	all := append([]byte("hello"), big...)
	for k, m := range moved {
		var stream []byte
		for seq := range s.Counts().Seq {
			stream = append(stream, m[seq]...)
		}
		if !bytes.Equal(stream, all) {
			t.Errorf("kind %d: %d bytes, want %d", k, len(stream), len(all))
		}
	}
	if lost := s.Counts().Lost; lost != 0 {
		t.Errorf("%d are lost", lost)
	}
	written, read := 0, 0
	for seq := range s.Counts().Seq {
		written += len(moved[SocketWrite][seq])
		if read += len(moved[SocketRead][seq]); read > written {
			t.Fatalf("at %d: %d bytes were read, %d written", seq, read, written)
		}
	}
}

package tap

import "os"

// spool is a file without a name for what has no place yet.
type spool struct {
	file *os.File
	size int64
	room []byte
}

func newSpool(folder string) (*spool, error) {
	f, err := os.CreateTemp(folder, ".ri-calls-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return &spool{file: f}, nil
}

const spoolRoom = 4 << 20

func (s *spool) add(b []byte) (off int64, err error) {
	off = s.size + int64(len(s.room))
	s.room = append(s.room, b...)
	if len(s.room) >= spoolRoom {
		err = s.flush()
	}
	return off, err
}

func (s *spool) flush() error {
	n, err := s.file.Write(s.room)
	s.size += int64(n)
	s.room = s.room[:0]
	return err
}

func (s *spool) at(off int64, n int) ([]byte, error) {
	if off >= s.size {
		return s.room[off-s.size:][:n], nil
	}
	b := make([]byte, n)
	_, err := s.file.ReadAt(b, off)
	return b, err
}

func (s *spool) Close() error { return s.file.Close() }

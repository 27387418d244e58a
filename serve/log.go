package serve

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// refused is what ri exits with when it was.
const refused = 4

// Entry is what is written down of a request.
type Entry struct {
	Time    time.Time `json:"time"`
	Caller  string    `json:"caller"`
	Role    string    `json:"role"`
	From    string    `json:"from,omitempty"` // the address
	Request string    `json:"request"`
	Took    float64   `json:"took_s"`
	Stopped float64   `json:"stopped_s"` // for how long it held processes stopped
	Bytes   int64     `json:"bytes"`     // that were sent
	Code    int       `json:"code"`      // what it exited with
	Why     string    `json:"why,omitempty"`
}

// LogName is the file in an agent's folder that has a line of JSON for each request.
const LogName = "requests.log"

// mostLog is how large it grows; then it is put aside, in the place of the one before.
const mostLog = 16 << 20 // bytes

// requestLog writes entries.
type requestLog struct {
	path string

	mu   sync.Mutex
	file *os.File
	size int64
}

// openLog opens the log in a folder.
func openLog(folder string) (*requestLog, error) {
	l := &requestLog{path: filepath.Join(folder, LogName)}
	return l, l.open()
}

func (l *requestLog) open() (err error) {
	l.file, err = os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := l.file.Stat()
	if err == nil {
		l.size = info.Size()
	}
	return err
}

// add writes an entry. JSON has control characters escaped, so what an asker sent can't pretend to be another.
func (l *requestLog) add(e Entry) error {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size += int64(len(line)) + 1; l.size > mostLog {
		if err := errors.Join(l.file.Close(), os.Rename(l.path, l.path+".1"), l.open()); err != nil {
			return err
		}
		l.size += int64(len(line)) + 1
	}
	_, err = l.file.Write(append(line, '\n'))
	return err
}

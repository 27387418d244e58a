package worker

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A worker asks before it holds a process, and tells it afterwards, by its socket: two words of eight bytes, what it is
// about (asks or tells) and how long, in nanoseconds. An answer is two words too: what is granted, and what was had.
// An errand is two words, the second its length, and JSON; so is its answer.
const (
	asks = iota + 1
	tells
	sends
)

// Accounts is who a worker asks: for how long it may hold a target, which has been held for so long in the last minute;
// and for what only the agent can do.
type Accounts interface {
	May(wish time.Duration) (granted, had time.Duration)
	Took(time.Duration)
	Do(Errand) Done
}

// Errand is what an agent does for a worker: one of these.
type Errand struct {
	// Save is a file of the asker's that is to be made, with this text.
	Save string `json:"save,omitempty"`
	Text []byte `json:"text,omitempty"`
	// Load is a script of the asker's that is to come here, with what it requires.
	Load string `json:"load,omitempty"`
	// Turn is the process that the worker goes on with, instead of the one that it had.
	Turn string `json:"turn,omitempty"`
}

// Done is what came of an errand.
type Done struct {
	PID   string `json:"pid,omitempty"`  // that was turned to
	Path  string `json:"path,omitempty"` // of the script, at the asker's
	Files []File `json:"files,omitempty"`
	Err   string `json:"err,omitempty"`
}

// File is one of the asker's.
type File struct {
	Path string `json:"path"`
	Text []byte `json:"text"`
}

// place puts it below the worker's folder.
func (f File) place() error {
	if !filepath.IsAbs(f.Path) || filepath.Clean(f.Path) != f.Path { // else it would lead out of the folder
		return fmt.Errorf("%q is no whole and clean path", f.Path)
	}
	here := filepath.Join(own.Root, f.Path)
	if err := os.MkdirAll(filepath.Dir(here), 0o700); err != nil {
		return err
	}
	return os.WriteFile(here, f.Text, 0o600)
}

// MaxErrand bounds an errand, in bytes: a script, as JSON has it.
const MaxErrand = 2 << 20

// Save has the agent make a file at the asker's. A path that isn't absolute is of the asker's folder.
func Save(path string, text []byte) error {
	done := relay{}.Do(Errand{Save: path, Text: text})
	return done.failure()
}

// Load has the agent bring a script of the asker's, and gives its path here.
func Load(path string) (here string, err error) {
	done := relay{}.Do(Errand{Load: path})
	if err := done.failure(); err != nil {
		return "", err
	}
	here = filepath.Join(own.Root, done.Path)
	_ = os.Remove(here) // what came before
	for _, f := range done.Files {
		if err := f.place(); err != nil {
			return "", err
		}
	}
	return here, nil
}

// Turn has the agent let this worker go on with another process, for which it may be asked as for the first. It gives
// its number.
func Turn(target string) (pid string, err error) {
	done := relay{}.Do(Errand{Turn: target})
	return done.PID, done.failure()
}

func (d Done) failure() error {
	if d.Err == "" {
		return nil
	}
	return errors.New(d.Err)
}

// Agent has the agent of this worker asked.
type Agent struct{}

var asking sync.Mutex

// May is for how long a target may be held now, wish at most.
func (Agent) May(wish time.Duration) (time.Duration, error) {
	granted, had := relay{}.May(wish)
	if granted <= 0 {
		return 0, fmt.Errorf("processes were held, or are being held, for %v in the last minute, and %v is the most here "+
			"(ri serve --stop-budget): wait, or look with --view live", had.Round(time.Microsecond), own.Limits.Stops)
	}
	return granted, nil
}

// Took tells for how long a target was held.
func (Agent) Took(took time.Duration) { relay{}.Took(took) }

// relay has the agent asked as it would be for a worker's own worker.
type relay struct{}

// May implements Accounts. An agent that is gone grants nothing.
func (relay) May(wish time.Duration) (granted, had time.Duration) {
	asking.Lock()
	defer asking.Unlock()
	var answer [16]byte
	if !say(asks, wish) {
		return 0, 0
	}
	if _, err := io.ReadFull(descriptor(control), answer[:]); err != nil {
		return 0, 0
	}
	return words(answer)
}

// Took implements Accounts.
func (relay) Took(took time.Duration) {
	asking.Lock()
	defer asking.Unlock()
	say(tells, took)
}

// Do implements Accounts.
func (relay) Do(e Errand) (done Done) {
	asking.Lock()
	defer asking.Unlock()
	text, err := json.Marshal(e)
	if err != nil || len(text) > MaxErrand {
		return Done{Err: fmt.Sprintf("it has more than %d bytes, which is the most from elsewhere", MaxErrand)}
	}
	var answer [16]byte
	gone := Done{Err: "the agent is gone"}
	if !say(sends, time.Duration(len(text)), text...) {
		return gone
	}
	if _, err := io.ReadFull(descriptor(control), answer[:]); err != nil {
		return gone
	}
	_, size := words(answer)
	text = make([]byte, min(max(size, 0), MaxErrand))
	if _, err := io.ReadFull(descriptor(control), text); err != nil || json.Unmarshal(text, &done) != nil {
		return gone
	}
	return done
}

func say(what int, long time.Duration, text ...byte) bool {
	for data := append(pair(time.Duration(what), long), text...); len(data) > 0; {
		n, err := unix.Write(control, data)
		if err != nil && err != unix.EINTR {
			return false
		}
		data = data[max(n, 0):]
	}
	return true
}

func pair(a, b time.Duration) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(a)), uint64(b))
}

func words(data [16]byte) (a, b time.Duration) {
	return time.Duration(binary.LittleEndian.Uint64(data[:])), time.Duration(binary.LittleEndian.Uint64(data[8:]))
}

// Serve answers what the worker asks, until it has ended, or is closed.
func (w *Worker) Serve(a Accounts) {
	for {
		var data [16]byte
		if _, err := io.ReadFull(w.socket, data[:]); err != nil {
			return
		}
		what, long := words(data)
		if long = max(long, 0); what == tells {
			a.Took(long)
			continue
		}
		if what == sends {
			if long > MaxErrand || !w.errand(a, int(long)) {
				return
			}
			continue
		}
		granted, had := a.May(long)
		if _, err := w.socket.Write(pair(granted, had)); err != nil {
			return
		}
	}
}

// errand does one, and tells the worker of it.
func (w *Worker) errand(a Accounts, size int) bool {
	text := make([]byte, size)
	if _, err := io.ReadFull(w.socket, text); err != nil {
		return false
	}
	var e Errand
	if json.Unmarshal(text, &e) != nil {
		return false
	}
	text, err := json.Marshal(a.Do(e))
	if err == nil && len(text) > MaxErrand {
		text, err = json.Marshal(Done{Err: fmt.Sprintf("it has more than %d bytes, which is the most", MaxErrand)})
	}
	if err != nil {
		return false
	}
	_, err = w.socket.Write(append(pair(sends, time.Duration(len(text))), text...))
	return err == nil
}

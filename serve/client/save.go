package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"ri/files"
	"ri/instruments/rows"
	"ri/serve/request"
)

// A shell at an agent may make a file here by :save, and be given a script by :run, if somebody here wants it. Where
// its lines are piped in, they say so, and pass through here. At a terminal only keys do, of which the agent's editor
// makes a line: so who types is asked here, and answers here.

// save makes a file that the agent asks for. It replaces none.
func (o *call) save(path string, text []byte) error {
	switch {
	case !filepath.IsAbs(path) || filepath.Clean(path) != path || filepath.Ext(path) != ".lua":
		return fmt.Errorf("the agent asked for %q, which is no path of a .lua file", path)
	case len(text) > files.MaxText || !utf8.Valid(text):
		return fmt.Errorf("no script: more than %d bytes, or no text", files.MaxText)
	}
	question := fmt.Sprintf("Write %s here, %d bytes?", rows.QuoteName(path), len(text))
	if err := o.wanted(":save", path, question); err != nil {
		return err
	}
	return files.New(path, text, 0o644)
}

// load reads a script that the agent asks for, and what it requires.
func (o *call) load(path string) ([]request.Named, error) {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || filepath.Ext(path) != ".lua" {
		return nil, fmt.Errorf("the agent asked for %q, which is no path of a .lua file", path)
	}
	if err := o.wanted(":run", path, fmt.Sprintf("Have the agent run %s of this machine, with what it requires?",
		rows.QuoteName(path))); err != nil {
		return nil, err
	}
	text, err := files.Read(path, files.MaxText)
	if errors.Is(err, fs.ErrNotExist) { // the shell says so
		return []request.Named{}, nil
	}
	if err != nil {
		return nil, err
	}
	one := request.Named{Path: path, Kind: request.IsFile, Data: text}
	all, size := append([]request.Named{one}, along(one)...), 0
	for _, f := range all {
		size += len(f.Data)
	}
	if size > request.Inline { // as JSON it is one message
		return nil, fmt.Errorf("it has %d bytes with what it requires, and %d travel to a prompt: ri run %s does it", size,
			request.Inline, path)
	}
	return all, nil
}

// wanted refuses what nobody here wants: what no line that was piped in says, or who types doesn't.
func (o *call) wanted(command, path, question string) error {
	if t := o.asked.Terminal; t != nil && t.In {
		return o.confirm(question)
	}
	if !o.typed.named(command, path) {
		return errors.New("no line that was piped in asks for it")
	}
	return nil
}

// confirm asks who types. What was typed before the question is no answer to it.
func (o *call) confirm(question string) error {
	if t := o.asked.Terminal; !t.Out && !t.Err {
		return errors.New("nobody sees the question whether it may be written")
	}
	screen := o.out[request.Terminal]
	keys := o.typed.listen(true)
	defer o.typed.listen(false)
	if err := unix.IoctlSetInt(int(o.in.Fd()), unix.TCFLSH, unix.TCIFLUSH); err != nil {
		return fmt.Errorf("the terminal: %w", err)
	}
	for drained := false; !drained; {
		select {
		case <-keys:
		default:
			drained = true
		}
	}
	if _, err := io.WriteString(screen, "\r\n\x1b[0m"+question+" [y/N] "); err != nil {
		return err
	}
	answer := ""
	for {
		select {
		case <-o.ended:
			return ErrLost
		case piece := <-keys:
			for _, key := range piece {
				if strings.IndexByte("\r\n\x03\x04\x1b", key) >= 0 {
					_, _ = io.WriteString(screen, "\r\n")
					if key != '\r' && key != '\n' || !strings.EqualFold(answer, "y") && !strings.EqualFold(answer, "yes") {
						return errors.New("not confirmed")
					}
					return nil
				}
				if key >= ' ' && key < 0x7f && len(answer) < 8 {
					answer += string(key)
					_, _ = screen.Write([]byte{key})
				}
			}
		}
	}
}

// typed looks at what is sent as it was typed.
type typed struct {
	mu    sync.Mutex
	keys  chan []byte              // is set while a question is open: what is typed is its answer
	lines bool                     // it is piped in
	begun []byte                   // of a line
	said  map[string]bool          // what lines say of files: the command, and the path
	at    func(path string) string // where a path lies
}

// mostBegun is how much of a line is kept: longer ones don't name a file.
const mostBegun = 8 << 10

func (t *typed) begin(asked *request.Request) {
	t.lines, t.at = asked.Terminal == nil || !asked.Terminal.In, asked.Absolute
}

// takes tells whether a piece was the answer to a question, and is not to be sent.
func (t *typed) takes(piece []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.keys != nil {
		select {
		case t.keys <- bytes.Clone(piece):
		default: // more than an answer has
		}
		return true
	}
	if !t.lines {
		return false
	}
	for {
		line, rest, whole := bytes.Cut(piece, []byte{'\n'})
		t.begun = append(t.begun, line[:min(len(line), mostBegun-len(t.begun))]...)
		if !whole {
			return false
		}
		if words := strings.Fields(string(t.begun)); len(words) > 1 && (words[0] == ":save" || words[0] == ":run") {
			if t.said == nil {
				t.said = map[string]bool{}
			}
			t.said[words[0]+" "+t.at(words[1])] = true
		}
		t.begun, piece = t.begun[:0], rest
	}
}

// named tells whether a line was a command about a file.
func (t *typed) named(command, path string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.said[command+" "+path]
}

// listen has what is typed come to a channel, or be sent again.
func (t *typed) listen(on bool) <-chan []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keys = nil
	if on {
		t.keys = make(chan []byte, 16)
	}
	return t.keys
}

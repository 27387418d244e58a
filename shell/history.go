package shell

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"

	"ri/files"
)

// maxHistory is how much of the history file is read, in bytes.
const maxHistory = 1 << 20

// historyFile is where lines are kept from one session to the next, by XDG; "": nowhere. What is typed from elsewhere
// is nobody's here.
func historyFile() string {
	if files.Confined() {
		return ""
	}
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" || !filepath.IsAbs(dir) {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "ri", "history")
}

// loadHistory fills the editor's history. That there is none is no error.
func (s *Shell) loadHistory() {
	file, err := files.Open(historyFile())
	if err != nil {
		return
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > 2*maxHistory {
		_, _ = file.Seek(-2*maxHistory, io.SeekEnd)
	}
	data, err := io.ReadAll(io.LimitReader(file, 2*maxHistory))
	if err != nil {
		return
	}
	if cut := len(data) - maxHistory; cut > 0 { // from the next whole line on
		data = data[cut:]
		data = data[bytes.IndexByte(data, '\n')+1:]
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if line != "" {
			s.line.AppendHistory(line)
		}
	}
}

// remember adds what was typed to the history, at once: who closes the terminal loses nothing. Several lines become
// one, which Lua reads alike.
func (s *Shell) remember(source string) {
	lines := []string{strings.Join(strings.Split(source, "\n"), " ")}
	if strings.Contains(source, "--") || strings.Contains(source, "[[") {
		lines = strings.Split(source, "\n")
	}
	for _, l := range lines {
		s.line.AppendHistory(l)
	}
	path := historyFile()
	if path == "" || !s.prompts || os.MkdirAll(filepath.Dir(path), 0o700) != nil {
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return // a session without a history is better than none
	}
	defer f.Close()
	_, _ = f.WriteString(strings.Join(lines, "\n") + "\n")
}

package flow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Line is a line of a flow's log.
type Line struct {
	Trace     string         `json:"trace"`
	Flow      string         `json:"flow,omitempty"`
	Cookie    string         `json:"cookie"` // the hop's
	Host      string         `json:"host"`
	Target    string         `json:"target"`
	Side      string         `json:"side"`
	What      string         `json:"what"`
	Goroutine int64          `json:"goroutine,omitempty"`
	Started   int64          `json:"started,omitempty"`
	Func      string         `json:"func,omitempty"`
	Values    map[string]any `json:"values,omitempty"`
	Duration  int64          `json:"duration_ns,omitempty"`
	Time      string         `json:"time,omitempty"`
	Nanotime  int64          `json:"nanotime,omitempty"`
}

// text is the line as JSON, with its end.
func (l *Line) text() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(l)
	return b.Bytes(), err
}

// Writer is where flows are logged to.
type Writer interface {
	// Write writes a line.
	Write(Line) error
	// Close ends all.
	Close() error
}

// Limits of logs.
const (
	mostLog  = 16 << 20 // bytes of a file; an older one is kept beside it
	mostLogs = 64       // requests that have logs
)

// Files are logs of a file for each request, FOLDER/ID.jsonl, which becomes ID.jsonl.1 when it is large.
type Files struct {
	Folder string

	mu   sync.Mutex
	open map[string]*os.File
	size map[string]int64
}

// LogsIn are logs in the folder of an agent.
func LogsIn(folder string) *Files { return &Files{Folder: filepath.Join(folder, "flows")} }

// Write implements Writer.
func (f *Files) Write(l Line) error {
	text, err := l.text()
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := f.file(l.Trace)
	if err != nil {
		return fmt.Errorf("the log of flows: %w", err)
	}
	if f.size[l.Trace]+int64(len(text)) > mostLog {
		path := f.path(l.Trace)
		delete(f.open, l.Trace)
		if err := errors.Join(file.Close(), os.Rename(path, path+".1")); err != nil {
			return fmt.Errorf("the log of flows: %w", err)
		}
		if file, err = f.file(l.Trace); err != nil {
			return fmt.Errorf("the log of flows: %w", err)
		}
	}
	n, err := file.Write(text)
	f.size[l.Trace] += int64(n)
	return err
}

func (f *Files) path(trace string) string { return filepath.Join(f.Folder, trace+".jsonl") }

// file gives the log of a request, whose id was found to be one. f.mu is held.
func (f *Files) file(trace string) (*os.File, error) {
	if file := f.open[trace]; file != nil {
		return file, nil
	}
	if f.open == nil {
		f.open, f.size = map[string]*os.File{}, map[string]int64{}
	}
	if err := os.MkdirAll(f.Folder, 0o700); err != nil {
		return nil, err
	}
	f.tidy(trace)
	file, err := os.OpenFile(f.path(trace), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	f.open[trace], f.size[trace] = file, info.Size()
	return file, nil
}

// tidy takes the oldest logs away where there are too many. f.mu is held.
func (f *Files) tidy(but string) {
	entries, err := os.ReadDir(f.Folder)
	if err != nil {
		return
	}
	type log struct {
		trace string
		last  int64
	}
	var logs []log
	for _, e := range entries {
		trace, ok := strings.CutSuffix(e.Name(), ".jsonl")
		info, err := e.Info()
		if ok && err == nil && trace != but {
			logs = append(logs, log{trace, info.ModTime().UnixNano()})
		}
	}
	slices.SortFunc(logs, func(a, b log) int { return int(min(max(a.last-b.last, -1), 1)) })
	for i := 0; i < len(logs)-mostLogs+1; i++ {
		trace := logs[i].trace
		if file := f.open[trace]; file != nil {
			file.Close()
			delete(f.open, trace)
		}
		_ = os.Remove(f.path(trace))
		_ = os.Remove(f.path(trace) + ".1")
	}
}

// Done closes the log of a request that has ended.
func (f *Files) Done(trace string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if file := f.open[trace]; file != nil {
		file.Close()
		delete(f.open, trace)
	}
}

// Close implements Writer.
func (f *Files) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all error
	for trace, file := range f.open {
		all = errors.Join(all, file.Close())
		delete(f.open, trace)
	}
	return all
}

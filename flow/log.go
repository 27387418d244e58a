package flow

import (
	"bytes"
	"cmp"
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
	Tenant    string         `json:"-"`
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
	mostLogs = 64       // requests of a tenant that have logs
)

// Files are logs of a file for each request, FOLDER/TENANT/ID.jsonl, which becomes ID.jsonl.1 when it is large.
type Files struct {
	Folder string

	mu   sync.Mutex
	open map[string]*logFile // by request
}

type logFile struct {
	*os.File
	path string
	size int64
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
	file, err := f.file(l)
	if err != nil {
		return fmt.Errorf("the log of flows: %w", err)
	}
	if file.size+int64(len(text)) > mostLog {
		delete(f.open, l.Trace)
		if err := errors.Join(file.Close(), os.Rename(file.path, file.path+".1")); err != nil {
			return fmt.Errorf("the log of flows: %w", err)
		}
		if file, err = f.file(l); err != nil {
			return fmt.Errorf("the log of flows: %w", err)
		}
	}
	n, err := file.Write(text)
	file.size += int64(n)
	return err
}

// file gives the log of a request, whose id and tenant were found to be names. f.mu is held.
func (f *Files) file(l Line) (*logFile, error) {
	if file := f.open[l.Trace]; file != nil {
		return file, nil
	}
	if f.open == nil {
		f.open = map[string]*logFile{}
	}
	folder := filepath.Join(f.Folder, l.Tenant)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	if err := f.tidy(folder, l.Trace); err != nil {
		return nil, err
	}
	path := filepath.Join(folder, l.Trace+".jsonl")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	f.open[l.Trace] = &logFile{file, path, info.Size()}
	return f.open[l.Trace], nil
}

// tidy takes a tenant's oldest logs away where there are too many, none of a request that hasn't ended. f.mu is held.
func (f *Files) tidy(folder, but string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	type log struct {
		path string
		last int64
	}
	var ended []log
	all := 1
	for _, e := range entries {
		trace, ok := strings.CutSuffix(e.Name(), ".jsonl")
		info, err := e.Info()
		if !ok || err != nil || trace == but {
			continue
		}
		all++
		if f.open[trace] == nil {
			ended = append(ended, log{filepath.Join(folder, e.Name()), info.ModTime().UnixNano()})
		}
	}
	slices.SortFunc(ended, func(a, b log) int { return cmp.Compare(a.last, b.last) })
	for ; all > mostLogs && len(ended) > 0; all-- {
		_ = os.Remove(ended[0].path)
		_ = os.Remove(ended[0].path + ".1")
		ended = ended[1:]
	}
	if all > mostLogs {
		return fmt.Errorf("the tenant %s has %d logs of requests that go on, which is the most at a host: disable one",
			filepath.Base(folder), all-1)
	}
	return nil
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

package host

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Errors that callers test for.
var (
	// ErrTime: the script's time is over.
	ErrTime = errors.New("time limit reached")
	// ErrMemory: the script held more than it may.
	ErrMemory = errors.New("memory limit reached")
	// ErrRows: the script gave more rows than asked for; those before are good.
	ErrRows = errors.New("row limit reached")
	// ErrScript: the script is wrong or gave up; a *ScriptError says where.
	ErrScript = errors.New("script error")
)

// ScriptError is a mistake in a script or an error that ended it.
type ScriptError struct {
	File      string
	Line      int    // 0: not known
	Message   string // with file and line in front, as people know it
	Traceback string // Lua's, a line a level; empty where the message says as much
	Cause     error  // the error of a binding that ended the script, if one did
}

func (e *ScriptError) Error() string { return e.Message }

// Unwrap gives ErrScript and the cause.
func (e *ScriptError) Unwrap() []error {
	if e.Cause == nil {
		return []error{ErrScript}
	}
	return []error{ErrScript, e.Cause}
}

// luaLines takes a traceback's lines of Lua: where the machine itself stands in between, in Go, tells nobody anything. Of one line there is
// nothing to tell that the message doesn't.
func luaLines(traceback string) string {
	var lines []string
	for line := range strings.SplitSeq(traceback, "\n") {
		line = strings.TrimSpace(line)
		if line != "" && line != "stack traceback:" && !strings.HasPrefix(line, "[G]") && !strings.HasPrefix(line, protectedName) && !strings.HasPrefix(line, "(tailcall)") {
			lines = append(lines, "\t"+line)
		}
	}
	if len(lines) < 2 {
		return ""
	}
	return "stack traceback:\n" + strings.Join(lines, "\n")
}

// NewScriptError makes one of a Lua message "file:line: text".
func NewScriptError(message, traceback string, cause error) *ScriptError {
	e := &ScriptError{Message: strings.TrimSpace(message), Traceback: traceback, Cause: cause}
	if file, rest, ok := strings.Cut(e.Message, ":"); ok {
		if number, _, ok := strings.Cut(rest, ":"); ok {
			if line, err := strconv.Atoi(number); err == nil {
				e.File, e.Line = file, line
			}
		}
	}
	switch {
	case strings.Contains(e.Message, "attempt to compare number with userdata"), strings.Contains(e.Message, "attempt to compare userdata with number"):
		e.Message += " (an integer beyond 2^53 is compared by ri.cmp(a, b))"
	case strings.Contains(e.Message, "stack overflow") && len(e.Message) > 400:
		e.Message = e.Message[:400]
	}
	return e
}

// Trace is Lua's stack, where it says more than the error itself.
func (e *ScriptError) Trace() string {
	if e.Line == 0 {
		return ""
	}
	return e.Traceback
}

// limitError says which limit ended a run and what it was.
type limitError struct {
	is   error
	text string
}

func (e *limitError) Error() string        { return e.text }
func (e *limitError) Is(target error) bool { return target == e.is }

func NewLimitError(is error, format string, args ...any) error {
	return &limitError{is: is, text: is.Error() + ": " + fmt.Sprintf(format, args...)}
}

package lang

import (
	"errors"
	"strconv"
	"strings"
)

// ErrScript: the script is wrong or gave up; a *ScriptError says where.
var ErrScript = errors.New("script error")

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
	case strings.Contains(e.Message, "attempt to compare number with userdata"),
		strings.Contains(e.Message, "attempt to compare userdata with number"):
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

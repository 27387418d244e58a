package host

import (
	"fmt"
	"regexp"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// riMatch tells whether a pattern is part of a text, as it is written or as a regular expression: people type main.(*Handler).run, which is no
// regular expression, as well as ^main\..
func (h *Host) riMatch(L *lua.LState) int {
	text, pattern := L.CheckString(1), L.CheckString(2)
	if strings.Contains(text, pattern) {
		L.Push(lua.LTrue)
		return 1
	}
	re, known := h.patterns[pattern]
	if !known {
		var err error
		if re, err = regexp.Compile(pattern); err != nil && !isName(pattern) {
			h.raise(L, fmt.Errorf("ri.match: %w", err))
		}
		if h.patterns == nil || len(h.patterns) > 1000 {
			h.patterns = map[string]*regexp.Regexp{}
		}
		h.patterns[pattern] = re
	}
	L.Push(lua.LBool(re != nil && re.MatchString(text)))
	return 1
}

// isName says whether a pattern that is no regular expression may be meant as it is: the name of a method, or of a generic function.
func isName(pattern string) bool {
	return strings.Contains(pattern, "(*") || strings.Contains(pattern, "[")
}

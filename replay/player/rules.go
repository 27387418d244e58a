package player

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Rule names what may differ in outputs: the value of an HTTP header, that of a field in JSON, or what a pattern
// matches. One of the three is set.
type Rule struct {
	Header  string `yaml:"header" json:"header,omitempty"`
	JSON    string `yaml:"json" json:"json,omitempty"`
	Pattern string `yaml:"pattern" json:"pattern,omitempty"` // Go's regexp; if it has groups, those are what may differ
	// Peer restricts it to outputs to an address, host:port or a path; ":port" is a port of any, as the peer's or as ours.
	Peer string `yaml:"peer" json:"peer,omitempty"`
}

// ParseRule reads a rule as it is given by itself: header=NAME, json=NAME, pattern=REGEXP.
func ParseRule(text string) (r Rule, err error) {
	kind, what, _ := strings.Cut(text, "=")
	switch kind {
	case "header":
		r.Header = what
	case "json":
		r.JSON = what
	case "pattern":
		r.Pattern = what
	default:
		return r, fmt.Errorf("%q is no rule: header=NAME, json=NAME or pattern=REGEXP", text)
	}
	return r, r.Check()
}

// Check tells what is wrong with a rule.
func (r Rule) Check() error {
	_, err := r.compile()
	return err
}

func (r Rule) String() string {
	text := "pattern=" + r.Pattern
	switch {
	case r.Header != "":
		text = "header=" + r.Header
	case r.JSON != "":
		text = "json=" + r.JSON
	}
	if r.Peer != "" {
		text += " to " + r.Peer
	}
	return text
}

// jsonValue is a value in JSON (RFC 8259), lists and objects without others in them.
const jsonValue = `("(?:[^"\\]|\\.)*"|[-+.0-9a-zA-Z]+|\[[^\[\]{}]*\]|\{[^\[\]{}]*\})`

func (r Rule) compile() (*regexp.Regexp, error) {
	given := 0
	for _, s := range []string{r.Header, r.JSON, r.Pattern} {
		if s != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, errors.New("a rule of what may differ has one of header, json and pattern")
	case r.Header != "":
		return regexp.Compile(`(?im)^` + regexp.QuoteMeta(r.Header) + `:[ \t]*([^\r\n]*)`)
	case r.JSON != "":
		return regexp.Compile(`\\?"` + regexp.QuoteMeta(r.JSON) + `\\?"[ \t\r\n]*:[ \t\r\n]*` + jsonValue)
	}
	e, err := regexp.Compile(r.Pattern)
	if err == nil && e.MatchString("") {
		err = fmt.Errorf("the pattern %q matches nothing at all, too, and so everywhere", r.Pattern)
	}
	return e, err
}

package lang

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"ri/instruments/rows"
)

// Filter reads what chooses texts: a part of them, as it is written, or a regular expression. People type
// main.(*Handler).run, which is no regular expression, as well as ^main\..
func Filter(pattern string) (fits func(text string) bool, err error) {
	re, err := regexp.Compile(pattern)
	if err != nil && !isName(pattern) {
		return nil, err
	}
	return func(text string) bool {
		return strings.Contains(text, pattern) || err == nil && re.MatchString(text)
	}, nil
}

// isName says whether a pattern that is no regular expression may be meant as it is: the name of a method, or of a
// generic function.
func isName(pattern string) bool {
	return strings.Contains(pattern, "(*") || strings.Contains(pattern, "[")
}

// chooses is an error if a filter chooses none of the parameter's values, so that it could only give nothing.
func (p *Param) chooses(pattern string) error {
	if pattern == "" || len(p.Values) == 0 {
		return nil
	}
	fits, err := Filter(pattern)
	if err != nil {
		return err
	}
	for _, v := range p.Values {
		if fits(v) {
			return nil
		}
	}
	if hint := rows.DidYouMean(pattern, p.Values); hint != "" {
		return fmt.Errorf("nothing is ever %s%s", strconv.Quote(pattern), hint)
	}
	return fmt.Errorf("nothing is ever %s; there are %s", strconv.Quote(pattern), strings.Join(p.Values, ", "))
}

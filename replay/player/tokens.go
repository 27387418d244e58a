//go:build linux && amd64

package player

import (
	"bytes"
	"slices"
	"strings"

	"ri/record/streams"
)

// tokens are texts of the recording that stand for secrets. The program gets them where they came in, and gives them
// back; but a secret that the program makes itself, and only writes, isn't as the recording has it, in any replay.
type tokens struct {
	plan *plan
	made map[int]bool // by a token's place in the header: it is in nothing that the program got; asked once
}

// covers gives how far a token of the program's own making goes in an output that has it at an offset; 0: there is
// none. Only as many bytes as the recording has are left out of the comparison.
func (t *tokens) covers(data []byte, offset int) int {
	if t == nil {
		return 0
	}
	for n, token := range t.plan.header.Process.Tokens {
		size := len(token.Text)
		if size < shortestToken {
			continue
		}
		from := max(0, offset-size+1)
		window := data[from:min(len(data), offset+size)]
		if at := bytes.Index(window, token.Text); at >= 0 && t.own(n) {
			return from + at + size
		}
	}
	return 0
}

// shortestToken is how long a token is at least that is left out: a shorter one may be anywhere by chance.
const shortestToken = 6

// own tells that the program makes what a token stands for: nothing that it got has the token.
func (t *tokens) own(n int) bool {
	own, asked := t.made[n]
	if !asked {
		text := t.plan.header.Process.Tokens[n].Text
		has := func(s string) bool { return strings.Contains(s, string(text)) }
		process := &t.plan.header.Process
		own = !slices.ContainsFunc(process.Args, has) && !slices.ContainsFunc(process.Env, has) &&
			!slices.ContainsFunc(t.plan.events, func(e streams.Event) bool {
				return e.Kind == streams.In && bytes.Contains(e.Data, text)
			})
		t.made[n] = own
	}
	return own
}

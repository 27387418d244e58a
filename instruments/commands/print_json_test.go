package commands

import (
	"testing"

	"ri/instruments/rows"
)

// What isn't shown whole says so.
func TestCut(t *testing.T) {
	for _, c := range []struct {
		text string
		more int
		want string
	}{
		{"all", 0, `"all"`}, {"", 0, `""`}, {"begi", 3, `{"$text":"begi","$more":3}`}, {"\xff", 0, `{"$b64":"/w=="}`},
		{"\xff", 1, `{"$text":{"$b64":"/w=="},"$more":1}`},
	} {
		if got := string(rows.AppendJSON(nil, cut(c.text, c.more))); got != c.want {
			t.Errorf("%q and %d: %s, not %s", c.text, c.more, got, c.want)
		}
	}
}

package values

import "testing"

// TestTokenLength: what a token stands for is as long as the token, however that is shown, and no two tokens are shown
// alike.
func TestTokenLength(t *testing.T) {
	seen := map[string]string{}
	for _, text := range []string{"a", "ab", "abc", "dead", "DEAD", "ab12", "\x00", "\xab\x12", "a›", "with \"quotes\"",
		"‹", "61623132", "6162"} {
		shown := string(MarkToken([]byte(text)))
		if other, ok := seen[shown]; ok {
			t.Errorf("%q and %q are both shown as %s", text, other, shown)
		}
		seen[shown] = text
		if n, ok := TokenLength("<" + shown + "> " + shown); n != 2*len(text)+3 || !ok {
			t.Errorf("%q, shown as %s, is %d bytes long: %v", text, shown, n, ok)
		}
	}
	for _, text := range []string{"‹not kept›", "‹not recorded›", "‹cut", "x‹"} {
		if n, ok := TokenLength(text); ok {
			t.Errorf("%s is %d bytes long", text, n)
		}
	}
}

package redact

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

func tokens() *Tokens { return NewTokens([KeySize]byte{1, 2, 3}) }

// TestTokensInjective takes all texts of one byte, and all printable ones of two, and many others.
func TestTokensInjective(t *testing.T) {
	tk := tokens()
	var all [][]byte
	for a := range 256 {
		all = append(all, []byte{byte(a)})
	}
	for a := 0x20; a < 0x7f; a++ {
		for b := 0x20; b < 0x7f; b++ {
			all = append(all, []byte{byte(a), byte(b)})
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := 2; n < 70; n++ {
		for i := range 300 {
			text := make([]byte, n)
			for j := range text {
				text[j] = byte(rnd.Uint32())
				if i%2 == 0 {
					text[j] = 0x20 + text[j]%95
				}
			}
			all = append(all, text)
		}
	}
	from := map[string]string{}
	moved := 0
	for _, text := range all {
		got := tk.Of(text)
		if len(got) != len(text) || !bytes.Equal(got, tk.Of(text)) {
			t.Fatalf("token of %q: %q, then %q", text, got, tk.Of(text))
		}
		if was, ok := from[string(got)]; ok && was != string(text) {
			t.Fatalf("%q and %q have one token", was, text)
		}
		from[string(got)] = string(text)
		if !bytes.Equal(got, text) {
			moved++
		}
		if len(text) <= exactBytes && isPrintable(got) != isPrintable(text) {
			t.Fatalf("%q became %q", text, got)
		}
	}
	if moved < len(all)*95/100 {
		t.Errorf("only %d of %d changed", moved, len(all))
	}
}

// TestTokensSayNothing: another key makes others, one letter changes all, and a long text's parts are nowhere.
func TestTokensSayNothing(t *testing.T) {
	a, b := tokens(), NewTokens(NewKey())
	for _, text := range []string{"hunter22", "alice@example.com", strings.Repeat("4111 1111 1111 1111 ", 20)} {
		one, other := a.Of([]byte(text)), b.Of([]byte(text))
		if bytes.Equal(one, other) {
			t.Errorf("%q has one token by two keys", text)
		}
		changed := []byte(text)
		changed[len(changed)-1]++
		same := 0
		near := a.Of(changed)
		for i := range min(len(one), hashBytes) {
			if one[i] == near[i] {
				same++
			}
		}
		if same > 4 {
			t.Errorf("%q and its neighbour have %d characters of their tokens in common", text, same)
		}
	}
}

func TestReadKey(t *testing.T) {
	key := NewKey()
	if got, err := ReadKey(strings.NewReader(fmt.Sprintf("%x\n", key))); err != nil || got != key {
		t.Error(got, err)
	}
	for _, text := range []string{"", "abc", strings.Repeat("z", 64), strings.Repeat("a", 66), strings.Repeat("a", 1000)} {
		if _, err := ReadKey(strings.NewReader(text)); err == nil {
			t.Errorf("%.10q... is taken for a key", text)
		}
	}
}

func FuzzTokens(f *testing.F) {
	tk := tokens()
	f.Add([]byte("a"), []byte("b"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		x, y := tk.Of(a), tk.Of(b)
		if bytes.Equal(a, b) != bytes.Equal(x, y) || len(x) != len(a) {
			t.Errorf("%q %q: %q %q", a, b, x, y)
		}
	})
}

func BenchmarkTokens(b *testing.B) {
	tk := tokens()
	for _, n := range []int{8, 16, 100, 4096} {
		text := bytes.Repeat([]byte{'x'}, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for range b.N {
				tk.Of(text)
			}
		})
	}
}

// TestTokensLong compares with the digits as package math/big has them.
func TestTokensLong(t *testing.T) {
	key := [KeySize]byte{1, 2, 3}
	derive := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	tk, mac := NewTokens(key), derive(key[:], "ri token hash")
	for n := exactBytes + 1; n < 70; n++ {
		text := strings.Repeat("x", n)
		rest, digit := new(big.Int).SetBytes(derive(mac, text)), new(big.Int)
		want := bytes.Repeat([]byte{'.'}, n)
		for i := range min(n, hashBytes) {
			rest.DivMod(rest, big.NewInt(printables), digit)
			want[i] = byte(digit.Int64()) + firstPrintable
		}
		if got := tk.Of([]byte(text)); !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: %q, want %q", n, got, want)
		}
	}
}

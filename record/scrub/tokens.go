package scrub

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/http2/hpack"

	"ri/secrets"
)

// Token is a text that stands for a secret.
type Token struct {
	Field string // where the secret was found first
	Text  []byte
}

// Scrubber knows the secrets of one recording. It is safe for concurrent use; its streams are not.
type Scrubber struct {
	mu     sync.Mutex
	key    []byte
	tokens map[string]int // by secret: which of list
	list   []Token
	made   map[string]bool // texts of list
	words  words
	names  map[string]bool
	blanks int
	// Named says of a name whether its values are secrets, before what holds for all; known is false if it doesn't. nil:
	// it never does.
	Named func(name string) (secret, known bool)
}

// New makes a scrubber. One key makes the same tokens each time.
func New(key [32]byte) *Scrubber {
	h := hmac.New(sha256.New, key[:])
	h.Write([]byte("ri token of streams"))
	return &Scrubber{key: h.Sum(nil), tokens: map[string]int{}, made: map[string]bool{}, names: map[string]bool{}}
}

// Limits of what is remembered. A recording's header has to hold the tokens.
const (
	mostTokens = 2048
	mostNames  = 4096
	leastWord  = 6 // a shorter secret isn't looked for elsewhere: it would be found in what is none
)

// Tokens are those that were given, in the order in which they were; the first 2,048.
func (s *Scrubber) Tokens() []Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

// Token is a secret's token. field says where it was found.
func (s *Scrubber) Token(field string, secret []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.tokens[string(secret)]; ok {
		return s.list[i].Text
	}
	return s.keep(field, secret, s.make(secret))
}

// keep has a secret have a token. The lock is held.
func (s *Scrubber) keep(field string, secret, token []byte) []byte {
	if len(s.list) < mostTokens && len(secret) > 0 {
		s.tokens[string(secret)] = len(s.list)
		s.list = append(s.list, Token{field, token})
		s.made[string(token)] = true
		if len(secret) >= leastWord {
			s.words.add(secret, token)
		}
	}
	return token
}

// given tells whether a text is a token that was given.
func (s *Scrubber) given(text []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made[string(text)]
}

// Learn has a secret be replaced wherever it stands.
func (s *Scrubber) Learn(field string, secret []byte) { s.Token(field, secret) }

// Made is what a text's token would be, without it being looked for anywhere.
func (s *Scrubber) Made(b []byte) []byte { return s.make(b) }

// separators stay as they are in long secrets, since what reads them takes them apart there: JWT, UUID, base64.
const separators = "-_.=+/:"

// longEnough is from which length separators stay.
const longEnough = 16

// make makes a token: each character becomes another of its kind, and Huffman's code of HTTP/2 isn't longer.
func (s *Scrubber) make(secret []byte) []byte { return s.variant(secret, 0) }

// variant is another token for each n.
func (s *Scrubber) variant(secret []byte, n byte) []byte {
	out := make([]byte, len(secret))
	var pool []byte
	block := uint32(0)
	hexadecimal := isHex(secret)
	over := 0 // bits of the code
	for i, c := range secret {
		if len(pool) < 2 {
			h := hmac.New(sha256.New, s.key)
			h.Write(binary.LittleEndian.AppendUint32(nil, block))
			h.Write(secret)
			if n > 0 {
				h.Write([]byte{n})
			}
			pool, block = h.Sum(nil), block+1
		}
		v := int(binary.LittleEndian.Uint16(pool))
		pool = pool[2:]
		kind := kindOf(secret, i, hexadecimal)
		out[i] = kind[v%len(kind)]
		over += codeBits[out[i]] - codeBits[c]
	}
	// Of few characters a kind has another whose code is no longer: they are the last that are changed.
	for _, few := range []int{4, 1} {
		for i := 0; i < len(secret) && over > 0; i++ {
			var short []byte
			for _, c := range []byte(kindOf(secret, i, hexadecimal)) {
				if codeBits[c] <= codeBits[secret[i]] {
					short = append(short, c)
				}
			}
			if len(short) >= few && codeBits[out[i]] > codeBits[secret[i]] {
				over -= codeBits[out[i]]
				out[i] = short[int(out[i])%len(short)]
				over += codeBits[out[i]]
			}
		}
	}
	return out
}

const (
	digitChars = "0123456789"
	lowerChars = "abcdefghijklmnopqrstuvwxyz"
	upperChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// kindOf is what a token may have in place of a secret's character.
func kindOf(secret []byte, i int, hexadecimal bool) string {
	switch c := secret[i]; {
	case hexadecimal && c >= 'a' && c <= 'f':
		return lowerChars[:6]
	case hexadecimal && c >= 'A' && c <= 'F':
		return upperChars[:6]
	case c >= '0' && c <= '9' && (i > 0 || len(secret) == 1):
		return digitChars
	case c >= '0' && c <= '9': // a number doesn't begin with 0
		return digitChars[1:]
	case c >= 'A' && c <= 'Z':
		return upperChars
	case len(secret) >= longEnough && strings.IndexByte(separators, c) >= 0:
		return separators[strings.IndexByte(separators, c):][:1]
	}
	return lowerChars
}

func isHex(b []byte) bool {
	digits := 0
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F', c == '-':
		default:
			return false
		}
	}
	return len(b) >= 16 && digits > 0
}

// harmless are names that secrets.Name takes for a secret's, and that protocols have for something that is none: what
// stands for them decides how a handshake goes on, and tells nothing.
var harmless = map[string]bool{"sec-websocket-key": true, "sec-websocket-accept": true, "www-authenticate": true,
	"proxy-authenticate": true, "nonce": true, "keep-alive": true, "auth_required": true, "cache-key": true,
	"session_id_context": true, "accept-signature": true}

// secretName tells whether a name is a secret's.
func (s *Scrubber) secretName(name []byte) bool {
	if len(name) < 2 || len(name) > mostName {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	is, known := s.names[string(name)]
	if !known {
		text := string(name)
		said := false
		if s.Named != nil {
			is, said = s.Named(text)
		}
		if !said {
			is = !harmless[strings.ToLower(text)] && secrets.Name(text)
		}
		if len(s.names) < mostNames {
			s.names[text] = is
		}
	}
	return is
}

// replace puts a secret's token in its place. What begins as credentials do keeps how it begins, and a password in
// base64 is replaced inside of that.
func (s *Scrubber) replace(field string, value []byte) {
	value = bytes.TrimSpace(value)
	if len(value) == 0 {
		return
	}
	scheme, rest, ok := bytes.Cut(value, []byte(" "))
	if ok && len(scheme) <= 16 && schemes[strings.ToLower(string(scheme))] {
		rest = bytes.TrimLeft(rest, " ")
		if strings.EqualFold(string(scheme), "basic") && s.basic(field, rest) {
			return
		}
		value = rest
	}
	copy(value, s.Token(field, bytes.Clone(value)))
}

// schemes of Authorization (IANA's registry of HTTP authentication schemes), and what is common besides.
var schemes = map[string]bool{"basic": true, "bearer": true, "digest": true, "token": true, "negotiate": true,
	"apikey": true, "dpop": true, "hoba": true, "mutual": true, "gnap": true, "aws4-hmac-sha256": true}

// basic replaces the password in base64 of user:password.
func (s *Scrubber) basic(field string, value []byte) bool {
	text, err := base64.StdEncoding.DecodeString(string(value))
	at := bytes.IndexByte(text, ':')
	if err != nil || at < 0 {
		return false
	}
	was := string(value)
	if password := text[at+1:]; len(password) > 0 {
		copy(password, s.fitting(field, bytes.Clone(password), func(token []byte) bool {
			copy(password, token)
			return hpack.HuffmanEncodeLength(base64.StdEncoding.EncodeToString(text)) <= hpack.HuffmanEncodeLength(was)
		}))
	}
	base64.StdEncoding.Encode(value, text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.words.add([]byte(was), bytes.Clone(value))
	s.made[string(value)] = true
	return true
}

// fitting is a secret's token. If it has none yet, it is one that fits, if there is such a one among some.
func (s *Scrubber) fitting(field string, secret []byte, fits func(token []byte) bool) []byte {
	s.mu.Lock()
	_, known := s.tokens[string(secret)]
	for n := byte(0); n < 100 && !known; n++ {
		if token := s.variant(secret, n); fits(token) {
			s.keep(field, secret, token)
			break
		}
	}
	s.mu.Unlock()
	return s.Token(field, secret)
}

// words are texts that are replaced wherever they stand.
type words struct {
	first [1 << 16]uint16 // by the first two bytes: how many begin so
	by    map[[leastWord]byte][]word
	most  int
}

type word struct{ text, token []byte }

const mostWords = 4096

func (w *words) add(text, token []byte) {
	if len(text) < leastWord || w.most >= mostWords {
		return
	}
	if w.by == nil {
		w.by = map[[leastWord]byte][]word{}
	}
	key := [leastWord]byte(text)
	for _, known := range w.by[key] {
		if bytes.Equal(known.text, text) {
			return
		}
	}
	w.by[key] = append(w.by[key], word{bytes.Clone(text), token})
	slices.SortFunc(w.by[key], func(a, b word) int { return len(b.text) - len(a.text) })
	w.first[binary.LittleEndian.Uint16(text)]++
	w.most++
}

// replace replaces words in b that begin before limit, and gives up to where that is decided: behind it a word may
// begin that isn't whole.
func (w *words) replace(b []byte, limit int, end bool) int {
	if w.most == 0 {
		return limit
	}
	for i := 0; i < limit && i+1 < len(b); i++ {
		if w.first[binary.LittleEndian.Uint16(b[i:])] == 0 {
			continue
		}
		rest := b[i:]
		if len(rest) < leastWord {
			if !end && w.mayBegin(rest) {
				return i
			}
			continue
		}
		for _, one := range w.by[[leastWord]byte(rest)] {
			if bytes.HasPrefix(rest, one.text) {
				copy(rest, one.token)
				i += len(one.text) - 1
				break
			}
			if !end && len(rest) < len(one.text) && bytes.HasPrefix(one.text, rest) {
				return i
			}
		}
	}
	return max(min(limit, len(b)), 0)
}

func (w *words) mayBegin(rest []byte) bool {
	for key := range w.by {
		if bytes.HasPrefix(key[:], rest) {
			return true
		}
	}
	return false
}

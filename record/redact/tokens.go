package redact

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/bits"
	"strings"
	"sync"
)

// KeySize is the size of a key for tokens, in bytes.
const KeySize = 32

// Tokens makes tokens. One key makes the same tokens each time; without it a token says nothing but the length of what
// it stands for. It is safe for concurrent use.
//
// A text of up to exactBytes becomes another of the same length by a permutation of all texts of that length, so no two
// texts have one token. Texts of printable ASCII become such texts, all others become others. A longer one becomes a
// keyed hash of up to hashBytes, and dots.
type Tokens struct {
	block  cipher.Block
	macs   sync.Pool      // of hash.Hash with that key: to begin with a key takes as long as a short text
	single map[int][]byte // how one digit alone is permuted, by radix
}

const (
	exactBytes = 16 // halves of 8 digits fit into a word
	hashBytes  = 32 // 17 characters of 95, the fewest, are 111 bits
)

// NewKey makes a key by the system's generator.
func NewKey() (key [KeySize]byte) {
	rand.Read(key[:])
	return key
}

// ErrKey: a key file isn't one.
var ErrKey = errors.New("not a key file")

// ReadKey reads a key file: KeySize bytes in hexadecimal. Errors: ErrKey, errors of r.
func ReadKey(r io.Reader) (key [KeySize]byte, err error) {
	text, err := io.ReadAll(io.LimitReader(r, 4*KeySize))
	if err != nil {
		return key, err
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(b) != KeySize {
		return key, fmt.Errorf("a key file has %d hexadecimal digits: %w", 2*KeySize, ErrKey)
	}
	return [KeySize]byte(b), nil
}

// NewTokens makes tokens of a key.
func NewTokens(key [KeySize]byte) *Tokens {
	derive := func(label string) []byte {
		h := hmac.New(sha256.New, key[:])
		io.WriteString(h, label)
		return h.Sum(nil)
	}
	block, err := aes.NewCipher(derive("ri token rounds"))
	if err != nil {
		panic(err) // 32 bytes are a key of AES
	}
	t := &Tokens{block: block}
	mac := derive("ri token hash")
	t.macs.New = func() any { return hmac.New(sha256.New, mac) }
	t.single = map[int][]byte{printables: t.shuffled(printables), 256: t.shuffled(256)}
	return t
}

// printable is the alphabet of most texts: ASCII from space to tilde.
const (
	firstPrintable = 0x20
	printables     = 95
)

func isPrintable(text []byte) bool {
	for _, b := range text {
		if b < firstPrintable || b >= firstPrintable+printables {
			return false
		}
	}
	return true
}

// Of is a text's token.
func (t *Tokens) Of(text []byte) []byte {
	switch n := len(text); {
	case n == 0:
		return nil
	case n > exactBytes:
		return t.long(text)
	case isPrintable(text):
		digits := make([]byte, n)
		for i, b := range text {
			digits[i] = b - firstPrintable
		}
		t.permute(digits, printables)
		for i := range digits {
			digits[i] += firstPrintable
		}
		return digits
	default:
		// Permuted among all texts until it is none of the printable ones: a permutation of the others.
		out := append([]byte(nil), text...)
		for t.permute(out, 256); isPrintable(out); {
			t.permute(out, 256)
		}
		return out
	}
}

// chunk is how many digits of printables fit into a word, and printablesChunk the power of it.
const (
	chunk           = 9
	printablesChunk = printables * printables * printables * printables * printables * printables * printables *
		printables * printables
)

// long is the token of a text too long to be permuted: the digits of its keyed hash, a number of 256 bits, from the
// lowest on.
func (t *Tokens) long(text []byte) []byte {
	h := t.macs.Get().(hash.Hash)
	h.Reset()
	h.Write(text)
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	t.macs.Put(h)
	var rest [4]uint64 // the highest first
	for i := range rest {
		rest[i] = binary.BigEndian.Uint64(sum[8*i:])
	}
	out := bytes.Repeat([]byte{'.'}, len(text))
	digits := out[:min(len(out), hashBytes)]
	for from := 0; from < len(digits); from += chunk {
		digit := uint64(0)
		for i := range rest {
			rest[i], digit = bits.Div64(digit, rest[i], printablesChunk)
		}
		for i := from; i < min(from+chunk, len(digits)); i++ {
			digits[i], digit = byte(digit%printables)+firstPrintable, digit/printables
		}
	}
	return out
}

// rounds of the Feistel network: as many as FF1 has (NIST SP 800-38G).
const rounds = 10

// permute replaces a text of digits below radix by another, one to one for each length: an unbalanced Feistel network
// over the halves as numbers, as FF1. One digit alone is permuted by a keyed shuffle.
func (t *Tokens) permute(digits []byte, radix int) {
	if len(digits) == 1 {
		digits[0] = t.single[radix][digits[0]]
		return
	}
	half := len(digits) / 2
	left, right := number(digits[:half], radix), number(digits[half:], radix)
	leftSize, rightSize := power(radix, half), power(radix, len(digits)-half)
	room := make([]byte, aes.BlockSize)
	for round := range rounds {
		if round%2 == 0 {
			left = add(left, t.round(room, round, len(digits), radix, right), leftSize)
		} else {
			right = add(right, t.round(room, round, len(digits), radix, left), rightSize)
		}
	}
	spell(digits[:half], left, radix)
	spell(digits[half:], right, radix)
}

// round is a pseudo-random number that depends on one half, and on what is permuted. It is made in b, a block.
func (t *Tokens) round(b []byte, round, length, radix int, half uint64) uint64 {
	clear(b)
	b[0], b[1] = byte(round), byte(length)
	binary.LittleEndian.PutUint16(b[2:], uint16(radix))
	binary.LittleEndian.PutUint64(b[8:], half)
	t.block.Encrypt(b, b)
	return binary.LittleEndian.Uint64(b)
}

// add adds modulo size; a size of 0 is that of a word.
func add(a, b, size uint64) uint64 {
	if size == 0 {
		return a + b
	}
	return (a + b%size) % size // both are below 95^8, or 256^7
}

// shuffled is a keyed permutation of a radix's digits, as Fisher and Yates shuffle.
func (t *Tokens) shuffled(radix int) []byte {
	order, room := make([]byte, radix), make([]byte, aes.BlockSize)
	for i := range order {
		order[i] = byte(i)
	}
	for i := radix - 1; i > 0; i-- {
		j := t.round(room, 0, 1, radix, uint64(i)) % uint64(i+1)
		order[i], order[j] = order[j], order[i]
	}
	return order
}

func number(digits []byte, radix int) (n uint64) {
	for _, d := range digits {
		n = n*uint64(radix) + uint64(d)
	}
	return n
}

func spell(digits []byte, n uint64, radix int) {
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = byte(n % uint64(radix))
		n /= uint64(radix)
	}
}

// power is radix to the n; 0 if that is one more than a word holds.
func power(radix, n int) uint64 {
	p := uint64(1)
	for range n {
		p *= uint64(radix)
	}
	return p
}

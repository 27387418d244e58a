package scrub

import (
	"encoding/base64"
	"slices"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// fields replaces secrets in header blocks as HPACK has them (RFC 7541). A value is replaced where it stands as it is;
// where a block refers to an earlier one, it is that one's. As a token has as many characters as its secret, the
// tables that both ends keep stay as they are, and as its Huffman code isn't longer, it has room. What becomes free is
// padding.
type fields struct {
	s       *Scrubber
	decoder *hpack.Decoder
	got     []hpack.HeaderField
	lost    bool // a block couldn't be read, and those that follow build on it
}

// mostTable bounds the table of fields, whose size is what two peers agree on.
const mostTable = 1 << 20

func newFields(s *Scrubber) *fields {
	x := &fields{s: s}
	x.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) { x.got = append(x.got, f) })
	x.decoder.SetAllowedMaxDynamicTableSize(mostTable)
	return x
}

// rewrite replaces the secrets of a whole header block, where it lies. False if that can't be done.
func (x *fields) rewrite(block []part) bool {
	if x.lost {
		return false
	}
	var payloads [][]byte
	for _, one := range block {
		payloads = append(payloads, slices.Concat(one.payload...))
	}
	head, payload := block[0].head, payloads[0]
	fixed, padding, padded := 0, 0, head[4]&flagPadded != 0
	if padded && len(payload) > 0 {
		padding, payload = int(payload[0]), payload[1:]
	}
	switch { // what comes before the fields
	case head[3] == framePush:
		fixed = 4
	case head[4]&flagPriority != 0:
		fixed = 5
	}
	if x.lost = fixed+padding > len(payload); x.lost {
		return false
	}
	first := payload[fixed : len(payload)-padding]
	from := slices.Concat(append([][]byte{first}, payloads[1:]...)...)
	to, ok := x.replace(from)
	if x.lost = !ok; x.lost {
		return false
	}
	free := len(from) - len(to)
	if free > 0 {
		if !padded {
			free-- // goes for the padding's length
		}
		if padding+free > 255 || len(from)-len(to) > len(first) || block[0].heads == nil {
			return false
		}
		if !padded {
			put(block[0].heads, slices.Concat(head[:4], []byte{head[4] | flagPadded}, head[5:]))
		}
		padded, padding = true, padding+free
	}
	rest := len(first) - (len(from) - len(to))
	var all []byte
	if padded {
		all = append(all, byte(padding))
	}
	all = slices.Concat(all, payload[:fixed], to[:rest], make([]byte, padding))
	put(block[0].payload, all)
	to = to[rest:]
	for i, one := range block[1:] {
		put(one.payload, to[:len(payloads[i+1])])
		to = to[len(payloads[i+1]):]
	}
	return true
}

// put puts bytes where pieces lie.
func put(pieces [][]byte, b []byte) {
	for _, piece := range pieces {
		b = b[copy(piece, b):]
	}
}

// replace gives a header block with tokens for secrets, which isn't longer.
func (x *fields) replace(block []byte) (out []byte, ok bool) {
	defer x.decoder.Close() // the next field is the first of a block
	for len(block) > 0 {
		value, size := extent(block)
		if size == 0 {
			return nil, false
		}
		one := block[:size]
		block, x.got = block[size:], x.got[:0]
		if _, err := x.decoder.Write(one); err != nil {
			return nil, false
		}
		out = append(out, one[:value]...)
		if value == size || len(x.got) != 1 {
			out = append(out, one[value:]...)
			continue
		}
		out = append(out, x.literal(x.got[0], one[value:])...)
	}
	return out, true
}

// extent tells where in the field that a block begins with its value begins, and where it ends; they are equal if it
// has none of its own. 0: it isn't whole.
func extent(block []byte) (value, size int) {
	index, prefix := uint64(0), 4 // a literal without indexing (RFC 7541, 6.2)
	switch b := block[0]; {
	case b&0x80 != 0:
		prefix = 7
	case b&0x40 != 0:
		prefix = 6
	case b&0x20 != 0:
		prefix = 5
	}
	index, value = integer(block, prefix)
	if value == 0 || prefix == 7 || prefix == 5 {
		return value, value
	}
	if index == 0 { // a name of its own
		n := textSize(block[value:])
		if n == 0 {
			return 0, 0
		}
		value += n
	}
	n := textSize(block[value:])
	if n == 0 {
		return 0, 0
	}
	return value, value + n
}

// textSize is how long a text is that a block goes on with, with its length. 0: it isn't whole.
func textSize(b []byte) int {
	length, n := integer(b, 7)
	if n == 0 || length > uint64(len(b)-n) {
		return 0
	}
	return n + int(length)
}

// integer reads a number (RFC 7541, 5.1), and how long it is. 0: it isn't whole, or too large.
func integer(b []byte, prefix int) (value uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	most := uint64(1)<<prefix - 1
	if value = uint64(b[0]) & most; value < most {
		return value, 1
	}
	for n = 1; n < min(len(b), 6); n++ {
		value += uint64(b[n]&0x7f) << (7 * (n - 1))
		if b[n]&0x80 == 0 {
			return value, n + 1
		}
	}
	return 0, 0
}

// literal is a field's value as a block has it, with tokens for secrets.
func (x *fields) literal(f hpack.HeaderField, was []byte) []byte {
	line := []byte(f.Name + ": " + f.Value + "\r\n")
	at := len(f.Name) + len(": ")
	x.s.Bytes(line)
	value := line[at : at+len(f.Value)]
	if strings.HasSuffix(f.Name, "-bin") { // bytes of gRPC's metadata
		if inside, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(string(value), "=")); err == nil {
			x.s.Bytes(inside)
			copy(value, base64.RawStdEncoding.EncodeToString(inside))
		}
	}
	if string(value) == f.Value {
		return was
	}
	coded := was[0]&0x80 != 0
	if to := literal(value, coded); len(to) <= len(was) {
		return to
	}
	// A password in base64 has another code: then it isn't kept that there is one.
	kept := 0
	if scheme, _, found := strings.Cut(f.Value, " "); found && schemes[strings.ToLower(scheme)] {
		kept = len(scheme) + 1
	}
	return literal(append([]byte(f.Value[:kept]), x.s.make([]byte(f.Value[kept:]))...), coded)
}

// literal is a text as a block has it, with Huffman's code or not.
func literal(b []byte, coded bool) []byte {
	if coded {
		n := hpack.HuffmanEncodeLength(string(b))
		return hpack.AppendHuffmanString(length(n, 0x80), string(b))
	}
	return append(length(uint64(len(b)), 0), b...)
}

// length is the length of a text.
func length(n uint64, bits byte) []byte {
	if n < 0x7f {
		return []byte{bits | byte(n)}
	}
	out := []byte{bits | 0x7f}
	for n -= 0x7f; n >= 0x80; n >>= 7 {
		out = append(out, byte(n)|0x80)
	}
	return append(out, byte(n))
}

// codeBits is how many bits of Huffman's code a character has.
var codeBits = func() (bits [256]int) {
	for c := range bits {
		bits[c] = int(hpack.HuffmanEncodeLength(strings.Repeat(string([]byte{byte(c)}), 8)))
	}
	return bits
}()

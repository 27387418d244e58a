package record

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sort"
	"sync"

	"ri/record/format"
)

// textSum tells texts apart, and those that are masked from those that become tokens.
type textSum [2]uint64

// largeText is from when on it is remembered where a text lies whose sum is known: a million headers may lead to one
// text, and to sum it up takes long.
const largeText = 4096

// contents are the texts that something stands for, and the headers that lead to them.
type contents struct {
	seeds  [2]maphash.Seed
	known  map[textSum]uint32 // their numbers
	tokens []uint64           // where what stands for each lies
	next   uint64             // where the next token comes
	fresh  []freshToken       // tokens that were not written yet
	size   int                // of them, in bytes

	constants map[extent]textSum // that are kept
	common    map[extent]uint64  // those of them whose text has a token, and that
	led       []ledTo            // the headers, in order of address
	last      uint64             // the last of them
	odd       map[oddHeader]uint32

	mu    sync.Mutex
	large map[extent]textSum
}

type freshToken struct {
	addr, to uint64
	n        uint32
	mask     bool
}

// ledTo are headers, by how far they are from an address.
type ledTo struct {
	base uint64
	list []led
}

// led is a header; text is twice the number of the text, and one more if that is masked.
type led struct{ off, text uint32 }

// ledInBlock is how many are in one piece: no list is copied to grow.
const ledInBlock = 1 << 13

// oddHeader is a header that doesn't come in order, or twice, with different things to do.
type oddHeader struct {
	at   uint64
	mask bool
}

func newContents(next uint64) contents {
	return contents{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, known: map[textSum]uint32{},
		next: next, constants: map[extent]textSum{}, common: map[extent]uint64{}, odd: map[oddHeader]uint32{},
		large: map[extent]textSum{}}
}

// begin begins a look: the texts of earlier ones are known still.
func (c *contents) begin() {
	clear(c.constants)
	clear(c.common)
	clear(c.odd)
	clear(c.large)
	c.led, c.last = nil, 0
}

// sum is a text's: of 128 bits by two keys that nobody knows, so that no two texts have one. It is safe for concurrent
// use.
func (c *contents) sum(e extent, content []byte, mask bool) (s textSum) {
	if e.n >= largeText {
		c.mu.Lock()
		defer c.mu.Unlock()
		s = c.large[e]
	}
	if s == (textSum{}) {
		s = textSum{maphash.Bytes(c.seeds[0], content), maphash.Bytes(c.seeds[1], content)}
		if e.n >= largeText {
			c.large[e] = s
		}
	}
	if mask {
		s[1] = ^s[1]
	}
	return s
}

// replace has something stand for a text.
func (p *painter) replace(t *replacedText) {
	c := &p.contents
	number, ok := c.known[t.sum]
	if !ok {
		number = uint32(len(c.tokens))
		c.known[t.sum] = number
		c.tokens = append(c.tokens, c.next)
		c.fresh = append(c.fresh, freshToken{t.addr, c.next, t.n, t.mask})
		c.next += uint64(t.n+15) &^ 15
		p.counts.Tokens++
		p.counts.Replaced += int64(t.n)
		if c.size += int(t.n) + 16; c.size >= memoryBytes {
			p.flushTokens()
		}
	}
	number *= 2
	if t.mask {
		number++
	}
	if len(c.led) > 0 && t.at <= c.last {
		if k := &c.led[len(c.led)-1]; t.at != c.last || k.list[len(k.list)-1].text != number {
			c.odd[oddHeader{t.at, t.mask}] = number
		}
		return
	}
	k := len(c.led) - 1
	if k < 0 || len(c.led[k].list) == ledInBlock || t.at-c.led[k].base >= 1<<32 {
		c.led = append(c.led, ledTo{t.at, make([]led, 0, ledInBlock)})
		k++
	}
	c.led[k].list = append(c.led[k].list, led{uint32(t.at - c.led[k].base), number})
	c.last = t.at
}

// flushTokens has the tokens written that are not written yet. They are made by whoever writes them.
func (p *painter) flushTokens() {
	c := &p.contents
	if len(c.fresh) == 0 {
		return
	}
	list := c.fresh
	c.fresh, c.size = make([]freshToken, 0, len(list)), 0
	last := &list[len(list)-1]
	p.out.block(job{name: format.TokenBlock, low: list[0].to, high: last.to + uint64(last.n), fill: func(b []byte) []byte {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(list)))
		for _, t := range list {
			b = format.AppendRun(b, t.to, int(t.n), format.Tokens)
		}
		for _, t := range list {
			b = append(b, p.stand(t)...)
		}
		return b
	}})
}

// stand is what stands for a text.
func (p *painter) stand(t freshToken) []byte {
	content, ok := p.mem.Read(t.addr, int(t.n))
	if t.mask || !ok { // which was there before
		return bytes.Repeat([]byte{'*'}, int(t.n))
	}
	return p.tokens.Of(content)
}

// settle is called when all texts are known: constants whose text has a token are that token, too, so that what was
// equal stays so.
func (c *contents) settle() {
	for e, s := range c.constants {
		if number, ok := c.known[s]; ok {
			c.common[e] = c.tokens[number]
		}
	}
}

// headerPlace is where in the headers somebody is who goes through them in order.
type headerPlace struct{ block, next int }

// standsFor is where what stands for the text of a header lies, ok is false if nothing does.
func (c *contents) standsFor(at uint64, mask bool, from *headerPlace) (to uint64, ok bool) {
	if from.block >= len(c.led) || from.next >= len(c.led[from.block].list) ||
		c.led[from.block].base+uint64(c.led[from.block].list[from.next].off) != at {
		c.find(at, from)
	}
	if from.block < len(c.led) && from.next < len(c.led[from.block].list) {
		b := &c.led[from.block]
		if one := b.list[from.next]; b.base+uint64(one.off) == at && (one.text&1 != 0) == mask {
			from.next++
			return c.tokens[one.text/2], true
		}
	}
	if len(c.odd) == 0 {
		return 0, false
	}
	text, ok := c.odd[oddHeader{at, mask}]
	if !ok {
		return 0, false
	}
	return c.tokens[text/2], true
}

// find goes to the first header that doesn't lie before an address.
func (c *contents) find(at uint64, to *headerPlace) {
	to.block = max(sort.Search(len(c.led), func(i int) bool { return c.led[i].base > at })-1, 0)
	if to.next = 0; to.block < len(c.led) && at >= c.led[to.block].base {
		b := &c.led[to.block]
		to.next, _ = slices.BinarySearchFunc(b.list, at-b.base, func(l led, off uint64) int {
			if uint64(l.off) < off {
				return -1
			}
			return 1
		})
	}
}

package attach

import "math/bits"

// This file keeps chunks of which few pages are wanted, and no more are to be read (Exact), in parts. The runtime.g of
// many goroutines lie between their stacks: chunks for two pages each are eight times what is read.

// maxParts is how many pages of a chunk are kept in parts; one with more of them is whole.
const maxParts = 7

// parts are a chunk's pages, nil where there is none. The bytes up to a part's capacity are those that follow.
type parts [pagesPerChunk][]byte

// at gives n bytes from an offset on, which lie in one run.
func (ch *chunk) at(off uint64, n int) []byte {
	if ch.parts == nil {
		return ch.data[off:][:n:n]
	}
	part := ch.parts[off>>pageShift]
	return part[:cap(part)][off&(PageSize-1):][:n:n]
}

// asParts makes room for pages of a chunk that is kept in parts; false if it becomes too much for that.
func (c *Cache) asParts(ch *chunk, pages uint32) bool {
	if bits.OnesCount32(ch.valid|pages) > maxParts {
		return false
	}
	if ch.parts == nil {
		ch.parts = new(parts)
	}
	for pages != 0 {
		first := bits.TrailingZeros32(pages)
		n := bits.TrailingZeros32(^(pages >> first))
		c.held += int64(n) << pageShift
		ch.parts.set(first, make([]byte, n<<pageShift))
		pages &^= (1<<n - 1) << first
	}
	return true
}

// set takes a run of pages.
func (p *parts) set(first int, run []byte) {
	for i := 0; i<<pageShift < len(run); i++ {
		p[first+i] = run[i<<pageShift:][:PageSize]
	}
}

// join has pages that are valid lie in one run.
func (c *Cache) join(ch *chunk, first, last uint) {
	n := int(last-first+1) << pageShift
	if cap(ch.parts[first]) >= n {
		return
	}
	run := make([]byte, 0, n)
	for i := first; i <= last; i++ {
		run = append(run, ch.parts[i]...)
	}
	c.held += int64(n)
	ch.parts.set(int(first), run[:n:n])
}

// forget lets go of pages that aren't valid, also behind those that are, and gives their size in bytes.
func (p *parts) forget(valid uint32) (bytes int64) {
	for i := range p {
		if p[i] != nil && valid>>i&1 == 0 {
			p[i] = nil
			bytes += PageSize
			for k, part := range p[:i] {
				if room := (i - k) << pageShift; cap(part) > room {
					p[k] = part[:PageSize:room]
				}
			}
		}
	}
	return bytes
}

// copyTo copies the pages into a whole chunk, and gives their size in bytes.
func (p *parts) copyTo(data []byte) (bytes int64) {
	for i := range p {
		bytes += int64(copy(data[i<<pageShift:], p[i]))
	}
	return bytes
}

package attach

import (
	"encoding/binary"
	"fmt"
	"runtime/debug"
	"unsafe"
)

// DefaultMaxBytes is what a Cache keeps at most, in bytes.
const DefaultMaxBytes = 1 << 30

// MaxSlice is the largest piece that one call of Slice gives, in bytes.
const MaxSlice = 1 << 30

const (
	chunkShift    = 16 // 64 KiB
	chunkSize     = 1 << chunkShift
	chunkMask     = chunkSize - 1
	pageShift     = 12
	pagesPerChunk = chunkSize / PageSize
	allPages      = 1<<pagesPerChunk - 1
	slabChunks    = 16   // allocated in one piece: 1 MiB
	lookasides    = 1024 // 64 MiB within reach, 32 KiB of table

	releaseWorth = 64 << 20 // bytes

	// emptyChunkCost is what a chunk without data counts toward MaxBytes, so that wild pointers can't fill ri's memory
	// with what isn't there.
	emptyChunkCost = 256
)

// CacheStats counts what a Cache did since it was made.
type CacheStats struct {
	BytesRead int64 // from the Memory beneath
	Reads     int64 // calls of the Memory beneath
	Misses    int64 // look-ups that did not find their chunk in the lookaside table
	Evictions int64 // times everything was dropped for MaxBytes
}

// Cache keeps pages of a Memory, so that a walk over millions of small objects costs memory bandwidth and not system
// calls.
//
// Memory is kept in chunks of 64 KiB. The first touch of a chunk reads one page (4 KiB), the second touch of another
// page reads all the rest: a few objects far from each other cost a page each, a dense walk two calls a chunk. A page
// that isn't mapped is remembered as such until Reset, and never spoils its neighbours.
//
// Where the Memory holds the bytes itself (Director), whole chunks of it are used in place.
//
// A Cache is not safe for concurrent use.
type Cache struct {
	// MaxBytes bounds the memory kept; when it is reached everything is dropped. May be changed at any time. 0 means
	// DefaultMaxBytes.
	MaxBytes int64
	// Exact reads the pages that are asked for and no more, so that Pages tells what a walk needs.
	Exact bool
	// Passing says that nobody will ask for Pages, so that much which is looked at once may be read past the cache.
	Passing bool
	witness func(addr uint64, n int) // see SetWitness

	mem    Memory
	lender Director // mem, if it holds the bytes itself
	sparse bool     // mem is Sparse
	look   [lookasides]lookaside
	chunks map[uint64]*chunk
	held   int64
	slab   []byte   // the rest of the newest one
	slabs  [][]byte // all, to be used again after Reset
	spare  [][]byte // slabs from before the Reset
	unused []byte   // a chunk's bytes that were taken off a slab in vain
	stats  CacheStats
	empty  []chunk // allocated in pieces
}

// lookaside leads from an address to its bytes in a few instructions. It covers the run of valid pages of one chunk in
// which the last access lay.
type lookaside struct {
	key  uint64         // the chunk's number + 1, so that the zero value matches nothing
	low  uint64         // offset in the chunk of the run's first byte
	size uint64         // of the run, in bytes
	base unsafe.Pointer // of the run
}

type chunk struct {
	data   []byte // chunkSize bytes, nil while no page of it is valid, and where there are parts
	parts  *parts
	valid  uint32 // a bit a page: data holds it
	absent uint32 // a bit a page: it isn't mapped
	direct uint32 // a bit a page: only its beginning can be read (a truncated core), so it is not kept
	lent   bool   // data is the Memory's own (Director): nothing was copied
}

// NewCache makes an empty cache over m.
func NewCache(m Memory) *Cache {
	c := &Cache{mem: m, chunks: make(map[uint64]*chunk)}
	c.lender, _ = m.(Director)
	_, c.sparse = m.(Sparse)
	return c
}

// SetWitness has f hear of every read from now on, by whatever way: its address and size in bytes. Reads are slower
// then. nil: nobody does.
func (c *Cache) SetWitness(f func(addr uint64, n int)) {
	c.witness = f
	c.look = [lookasides]lookaside{} // what is found there isn't heard of
}

// Beneath is what the cache reads from: for bulk reads that are to leave no pages behind.
func (c *Cache) Beneath() Memory { return c.mem }

// Stats says what the cache has done so far.
func (c *Cache) Stats() CacheStats { return c.stats }

// Pages lists the numbers (address / PageSize) of the pages that the cache holds or knows to be absent, in no order. Of
// what the Memory beneath lent (Director) it lists all that one look-up covers.
func (c *Cache) Pages() []uint64 {
	var out []uint64
	for number, ch := range c.chunks {
		for page := range uint64(pagesPerChunk) {
			if (ch.valid|ch.absent|ch.direct)>>page&1 != 0 {
				out = append(out, number*pagesPerChunk+page)
			}
		}
	}
	return out
}

// Uint64 reads a word (little-endian, any alignment).
func (c *Cache) Uint64(addr uint64) (uint64, error) {
	key := addr>>chunkShift + 1
	e := &c.look[key%lookasides]
	if off := addr&chunkMask - e.low; e.key == key && off < e.size && e.size-off >= 8 {
		return *(*uint64)(unsafe.Add(e.base, off)), nil
	}
	var b [8]byte
	if _, err := c.readSlow(b[:], addr); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// Uint32 reads four bytes (little-endian, any alignment).
func (c *Cache) Uint32(addr uint64) (uint32, error) {
	key := addr>>chunkShift + 1
	e := &c.look[key%lookasides]
	if off := addr&chunkMask - e.low; e.key == key && off < e.size && e.size-off >= 4 {
		return *(*uint32)(unsafe.Add(e.base, off)), nil
	}
	var b [4]byte
	if _, err := c.readSlow(b[:], addr); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b[:]), nil
}

// Uint8 reads a byte.
func (c *Cache) Uint8(addr uint64) (uint8, error) {
	key := addr>>chunkShift + 1
	e := &c.look[key%lookasides]
	if off := addr&chunkMask - e.low; e.key == key && off < e.size {
		return *(*uint8)(unsafe.Add(e.base, off)), nil
	}
	var b [1]byte
	if _, err := c.readSlow(b[:], addr); err != nil {
		return 0, err
	}
	return b[0], nil
}

// Slice gives n bytes at addr, without a copy where they lie in one chunk; the bytes must not be written and are
// valid until Reset. More than MaxSlice is refused.
func (c *Cache) Slice(addr uint64, n int) ([]byte, error) {
	if n <= 0 {
		if n < 0 {
			return nil, fmt.Errorf("reading %d bytes at address %#x: a negative size: %w", n, addr, ErrNotMapped)
		}
		return nil, nil
	}
	key := addr>>chunkShift + 1
	e := &c.look[key%lookasides]
	if off := addr&chunkMask - e.low; e.key == key && off < e.size && e.size-off >= uint64(n) {
		return unsafe.Slice((*byte)(unsafe.Add(e.base, off)), n), nil
	}
	return c.sliceSlow(addr, n)
}

func (c *Cache) sliceSlow(addr uint64, n int) ([]byte, error) {
	if n > MaxSlice {
		return nil, fmt.Errorf("reading %d bytes at address %#x: more than the limit of %d for one piece: %w", n, addr,
			MaxSlice, ErrNotSupported)
	}
	if addr+uint64(n) < addr {
		return nil, NotMapped(addr)
	}
	if addr&chunkMask+uint64(n) <= chunkSize {
		ch, err := c.load(addr, n)
		if err != nil {
			return nil, err
		}
		if ch != nil {
			return ch.at(addr&chunkMask, n), nil
		}
	}
	if c.lender != nil {
		if b := c.lender.Direct(addr, n); b != nil {
			if c.witness != nil {
				c.witness(addr, n)
			}
			return b, nil
		}
	}
	// A wild length must not cost its size in memory before it is known that there is something: grow as it is read.
	var p []byte
	for len(p) < n {
		step := min(n-len(p), max(len(p), 1<<20))
		from := len(p)
		p = append(p, make([]byte, step)...)
		if _, err := c.readSlow(p[from:], addr+uint64(from)); err != nil {
			return nil, err
		}
	}
	return p[:n:n], nil
}

// ReadMemory implements Memory.
func (c *Cache) ReadMemory(p []byte, addr uint64) (int, error) {
	n := uint64(len(p))
	key := addr>>chunkShift + 1
	e := &c.look[key%lookasides]
	if off := addr&chunkMask - e.low; e.key == key && off < e.size && e.size-off >= n {
		copy(p, unsafe.Slice((*byte)(unsafe.Add(e.base, off)), n))
		return len(p), nil
	}
	return c.readSlow(p, addr)
}

// Reset forgets all pages and reads m from now on. Slices that were given out are no longer valid.
func (c *Cache) Reset(m Memory) {
	c.mem = m
	c.drop()
	c.spare = append(c.spare, c.slabs...)
	c.slabs = nil
	_, c.sparse = m.(Sparse)
	if c.lender, _ = m.(Director); c.lender != nil {
		c.spare = nil // little will be copied
	}
}

// Release forgets all pages, and gives their memory back to the system if it is much.
func (c *Cache) Release() {
	much := c.held > releaseWorth
	c.drop()
	c.slabs, c.spare = nil, nil
	if much {
		debug.FreeOSMemory()
	}
}

// drop empties the cache. The slabs are left to those who still hold slices of them.
func (c *Cache) drop() {
	c.look = [lookasides]lookaside{}
	clear(c.chunks)
	c.empty = nil
	c.slab = nil
	c.unused = nil
	c.held = 0
}

// readSlow fills p chunk by chunk.
func (c *Cache) readSlow(p []byte, addr uint64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if addr+uint64(len(p)) < addr {
		return 0, NotMapped(addr)
	}
	done := 0
	for done < len(p) {
		at := addr + uint64(done)
		n := min(len(p)-done, chunkSize-int(at&chunkMask))
		ch, err := c.load(at, n)
		switch {
		case err != nil && IsNotMapped(err) && n > 1:
			// As much as there is, page by page.
			n = min(n, PageSize-int(at&(PageSize-1)))
			if ch, err = c.load(at, n); err != nil {
				return done, err
			}
			fallthrough
		case err == nil:
			if ch == nil {
				m, err := c.readDirect(p[done:done+n], at)
				done += m
				if err != nil {
					return done, err
				}
				continue
			}
			done += copy(p[done:done+n], ch.at(at&chunkMask, n))
		default:
			return done, err
		}
	}
	return done, nil
}

func (c *Cache) readDirect(p []byte, addr uint64) (int, error) {
	n, err := c.mem.ReadMemory(p, addr)
	c.stats.Reads++
	c.stats.BytesRead += int64(n)
	return n, err
}

// load gives the chunk that holds n bytes at addr, all in one chunk, valid. It is nil without an error if
// they have to be read from the Memory beneath.
func (c *Cache) load(addr uint64, n int) (*chunk, error) {
	c.stats.Misses++
	if c.witness != nil {
		c.witness(addr, n)
	}
	if c.sparse {
		return nil, nil
	}
	number := addr >> chunkShift
	ch := c.chunks[number]
	if ch == nil {
		ch = c.newChunk(number)
	}
	first := uint(addr&chunkMask) >> pageShift
	last := uint(addr&chunkMask+uint64(n)-1) >> pageShift
	want := uint32(1)<<(last+1) - uint32(1)<<first
	if ch.valid&want != want {
		if ch.valid == 0 && c.lender != nil && ch.data == nil {
			if b := c.lender.Direct(number<<chunkShift, chunkSize); b != nil {
				ch.data, ch.parts, ch.valid, ch.lent = b, nil, allPages, true
			}
		}
		if missing := want &^ (ch.valid | ch.absent | ch.direct); missing != 0 {
			fetch := missing
			if ch.valid != 0 && !c.Exact { // the second visit: take the rest
				fetch = allPages &^ (ch.valid | ch.absent | ch.direct)
			}
			if err := c.fetch(ch, number, fetch); err != nil {
				return nil, err
			}
		}
		if gone := want & ch.absent; gone != 0 {
			page := uint64(0)
			for gone>>page&1 == 0 {
				page++
			}
			at := max(number<<chunkShift+page<<pageShift, addr)
			if m, ok := c.mem.(Explainer); ok {
				return nil, m.Explain(at)
			}
			return nil, NotMapped(at)
		}
		if want&ch.direct != 0 {
			return nil, nil
		}
	}
	if ch.parts != nil {
		c.join(ch, first, last)
	}
	c.remember(ch, number, first, last)
	return ch, nil
}

// remember enters the run of valid pages around first..last into the lookaside table.
func (c *Cache) remember(ch *chunk, number uint64, first, last uint) {
	if c.witness != nil { // what is found here isn't heard of
		return
	}
	if ch.parts == nil {
		for first > 0 && ch.valid>>(first-1)&1 != 0 {
			first--
		}
		for last < pagesPerChunk-1 && ch.valid>>(last+1)&1 != 0 {
			last++
		}
	}
	key := number + 1
	c.look[key%lookasides] = lookaside{
		key:  key,
		low:  uint64(first) << pageShift,
		size: uint64(last-first+1) << pageShift,
		base: unsafe.Pointer(unsafe.SliceData(ch.at(uint64(first)<<pageShift, 1))),
	}
}

// fetch reads the given pages of a chunk, each run of them with one call.
func (c *Cache) fetch(ch *chunk, number uint64, pages uint32) error {
	if c.Exact && ch.data == nil && c.asParts(ch, pages) {
		defer func() { c.held -= ch.parts.forget(ch.valid) }()
	} else if ch.data == nil {
		ch.data = c.newData()
		if ch.parts != nil {
			c.held -= ch.parts.copyTo(ch.data)
			ch.parts = nil
		}
		defer func() {
			if ch.valid == 0 { // nothing there: keep the bytes for the next chunk
				c.unused, ch.data = ch.data, nil
				c.held -= chunkSize
			}
		}()
	}
	for page := uint(0); page < pagesPerChunk; {
		if pages>>page&1 == 0 {
			page++
			continue
		}
		end := page + 1
		for end < pagesPerChunk && pages>>end&1 != 0 {
			end++
		}
		off := uint64(page) << pageShift
		n, err := c.readDirect(ch.at(off, int(end-page)<<pageShift), number<<chunkShift+off)
		if err != nil && !IsNotMapped(err) {
			return err
		}
		whole := uint(n) >> pageShift
		ch.valid |= uint32(1)<<(page+whole) - uint32(1)<<page
		page += whole
		if page < end {
			if n&(PageSize-1) != 0 {
				ch.direct |= 1 << page
			} else {
				ch.absent |= 1 << page
			}
			page++
		}
	}
	return nil
}

func (c *Cache) newChunk(number uint64) *chunk {
	limit := c.MaxBytes
	if limit <= 0 {
		limit = DefaultMaxBytes
	}
	if c.held >= limit {
		c.drop()
		c.slabs = nil // whoever holds a slice of one keeps it
		c.stats.Evictions++
	}
	if len(c.empty) == 0 {
		c.empty = make([]chunk, 64)
	}
	ch := &c.empty[0]
	c.empty = c.empty[1:]
	c.chunks[number] = ch
	c.held += emptyChunkCost
	return ch
}

// newData takes the bytes of a chunk off a slab.
func (c *Cache) newData() []byte {
	c.held += chunkSize
	if data := c.unused; data != nil {
		c.unused = nil
		return data
	}
	if len(c.slab) == 0 {
		if n := len(c.spare); n > 0 {
			c.slab = c.spare[n-1]
			c.spare = c.spare[:n-1]
		} else {
			c.slab = make([]byte, slabChunks*chunkSize)
		}
		c.slabs = append(c.slabs, c.slab)
	}
	data := c.slab[:chunkSize:chunkSize]
	c.slab = c.slab[chunkSize:]
	return data
}

// Warm brings the byte at addr nearer to the processor if the cache has it at hand, and does nothing else. Who will
// read from many unrelated addresses asks this of some of them first: the processor fetches them at the same time, not
// one after the other.
func (c *Cache) Warm(addr uint64) byte {
	key := addr>>chunkShift + 1
	e := &c.look[key%lookasides]
	if off := addr&chunkMask - e.low; e.key == key && off < e.size {
		return *(*byte)(unsafe.Add(e.base, off))
	}
	return 0
}

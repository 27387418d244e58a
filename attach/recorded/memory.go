package recorded

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	"ri/attach"
	"ri/record/format"
)

// absent is the error of a byte that a recording doesn't have. It is ErrNotRecorded, and ErrNotMapped for whoever goes
// on without what can't be read.
type absent struct {
	addr     uint64
	denied   bool
	whole    bool // all that is reachable was recorded
	cutShort bool // but not all of it is there
}

func (e *absent) Error() string {
	if e.denied {
		return fmt.Sprintf("address %#x is not in the recording: what is there was not kept, by the rules of redaction "+
			"(ri recording info shows them; ri record --policy FILE keeps more)", e.addr)
	}
	if e.cutShort {
		return fmt.Sprintf("address %#x is not in what is there of the recording, which was cut short: it may have been in "+
			"the rest (get the file again, whole)", e.addr)
	}
	if e.whole {
		return fmt.Sprintf("address %#x is not in the recording, though it has all that is reachable: either nothing leads "+
			"there, or what is there was not kept, by the rules of redaction (ri record --policy FILE keeps more)", e.addr)
	}
	return fmt.Sprintf("address %#x is not in the recording: no instrument that was recorded read it; record the one "+
		"that does (ri record RECIPE), or all that is reachable (--heap)", e.addr)
}

func (e *absent) Is(target error) bool {
	return target == attach.ErrNotRecorded || target == attach.ErrNotMapped || e.denied && target == attach.ErrNotKept
}

// heldBlocks is how many bytes of blocks are held, decompressed. Slices that were given out live on.
const heldBlocks = 64 << 20

// memory finds bytes in the blocks of a recording. It is safe for concurrent use.
type memory struct {
	file    *format.Reader
	blocks  []format.Block // in order of address
	tokens  *memory        // where no memory of the process is; nil: there are none
	whole   bool           // all that is reachable was recorded
	origins origins

	mu     sync.Mutex
	loaded map[int]*loaded
	held   int64
	clock  int64
}

type loaded struct {
	runs []format.Memory
	err  error
	size int64
	used int64 // by the clock
}

// newMemory takes the blocks of a name. Errors: format.ErrMalformed.
func newMemory(file *format.Reader, name string) (*memory, error) {
	m := &memory{file: file, loaded: map[int]*loaded{}, origins: origins{file: file}}
	for _, b := range file.Blocks() {
		if b.Name != name {
			continue
		}
		if b.High == 0 && b.Low == 0 { // of a file without an index: the block itself says where it lies
			data, err := file.Read(b)
			if err != nil {
				return nil, err
			}
			runs, err := format.ReadMemory(data)
			if err != nil {
				return nil, err
			}
			if len(runs) == 0 {
				continue
			}
			last := runs[len(runs)-1]
			b.Low, b.High = runs[0].Addr, last.Addr+uint64(last.Size)
		}
		m.blocks = append(m.blocks, b)
	}
	slices.SortFunc(m.blocks, func(a, b format.Block) int { return cmp.Compare(a.Low, b.Low) })
	for i := 1; i < len(m.blocks); i++ {
		if m.blocks[i].Low < m.blocks[i-1].High {
			return nil, fmt.Errorf("blocks of memory at %#x overlap: %w", m.blocks[i].Low, format.ErrMalformed)
		}
	}
	return m, nil
}

// run gives the bytes from an address to the end of their run. The error says why there are none.
func (m *memory) run(addr uint64) (run format.Memory, err error) {
	if m.tokens != nil {
		var no *absent
		if run, err = m.tokens.run(addr); err == nil || errors.As(err, &no) && no.denied {
			return run, err
		}
	}
	i, _ := slices.BinarySearchFunc(m.blocks, addr, func(b format.Block, addr uint64) int {
		if b.High <= addr {
			return -1
		}
		return 1
	})
	if i == len(m.blocks) || addr < m.blocks[i].Low {
		return run, &absent{addr: addr, whole: m.whole, cutShort: m.file.CutShort()}
	}
	l := m.load(i)
	if l.err != nil {
		return run, l.err
	}
	k, _ := slices.BinarySearchFunc(l.runs, addr, func(r format.Memory, addr uint64) int {
		if r.Addr+uint64(r.Size) <= addr {
			return -1
		}
		return 1
	})
	if k == len(l.runs) || addr < l.runs[k].Addr {
		return run, &absent{addr: addr, whole: m.whole}
	}
	run = l.runs[k]
	if run.Kind == format.Denied {
		return run, &absent{addr: addr, denied: true}
	}
	off := addr - run.Addr
	run.Addr, run.Size, run.Data = addr, run.Size-int(off), run.Data[off:]
	return run, nil
}

// runBytes is about what a run takes besides its bytes.
const runBytes = 48

func (m *memory) load(i int) *loaded {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock++
	if l := m.loaded[i]; l != nil {
		l.used = m.clock
		return l
	}
	l := &loaded{used: m.clock}
	data, err := m.file.Read(m.blocks[i])
	if err == nil {
		if l.runs, err = format.ReadMemory(data); err == nil {
			err = m.within(i, l.runs)
		}
	}
	l.err, l.size = err, m.blocks[i].Size+int64(len(l.runs))*runBytes
	for m.held+l.size > heldBlocks && len(m.loaded) > 0 {
		oldest := -1
		for k, other := range m.loaded {
			if oldest < 0 || other.used < m.loaded[oldest].used {
				oldest = k
			}
		}
		m.held -= m.loaded[oldest].size
		delete(m.loaded, oldest)
	}
	m.loaded[i], m.held = l, m.held+l.size
	return l
}

// within refuses runs that lie outside of what the index says of their block.
func (m *memory) within(i int, runs []format.Memory) error {
	if n := len(runs); n > 0 &&
		(runs[0].Addr < m.blocks[i].Low || runs[n-1].Addr+uint64(runs[n-1].Size) > m.blocks[i].High) {
		return fmt.Errorf("block of memory at %#x has what the index doesn't say: %w", m.blocks[i].Low, format.ErrMalformed)
	}
	return nil
}

// ReadMemory implements attach.Memory.
func (m *memory) ReadMemory(p []byte, addr uint64) (n int, err error) {
	for n < len(p) {
		run, err := m.run(addr + uint64(n))
		if err != nil {
			return n, err
		}
		n += copy(p[n:], run.Data)
	}
	return n, nil
}

// ReadHoles implements attach.Sparse.
func (m *memory) ReadHoles(p []byte, addr uint64) error {
	clear(p)
	if err := m.readHoles(p, addr); err != nil {
		return err
	}
	return m.origins.put(p, addr)
}

func (m *memory) readHoles(p []byte, addr uint64) error {
	for n := 0; n < len(p); {
		run, next, err := m.runOrNext(addr+uint64(n), uint64(len(p)-n))
		switch {
		case err != nil:
			return err
		case run.Data != nil:
			n += copy(p[n:], run.Data)
		case next <= addr+uint64(n):
			return nil
		default:
			n += int(min(next-addr-uint64(n), uint64(len(p)-n)))
		}
	}
	return nil
}

// runOrNext gives the bytes at an address, or else where the next ones begin; 0 if there are none in the n bytes from
// there.
func (m *memory) runOrNext(addr, n uint64) (run format.Memory, next uint64, err error) {
	run, err = m.run(addr)
	var no *absent
	if err == nil || !errors.As(err, &no) {
		return run, 0, err
	}
	i, _ := slices.BinarySearchFunc(m.blocks, addr, func(b format.Block, addr uint64) int {
		if b.High <= addr {
			return -1
		}
		return 1
	})
	for ; i < len(m.blocks) && (m.blocks[i].Low <= addr || m.blocks[i].Low-addr < n); i++ {
		l := m.load(i)
		if l.err != nil {
			return run, 0, l.err
		}
		k, _ := slices.BinarySearchFunc(l.runs, addr, func(r format.Memory, addr uint64) int {
			if r.Addr <= addr || r.Kind == format.Denied && r.Addr+uint64(r.Size) <= addr {
				return -1
			}
			return 1
		})
		for ; k < len(l.runs); k++ {
			if r := l.runs[k]; r.Kind != format.Denied && r.Addr > addr {
				return format.Memory{}, r.Addr, nil
			}
		}
	}
	return format.Memory{}, 0, nil
}

// Direct implements attach.Director.
func (m *memory) Direct(addr uint64, n int) []byte {
	if n <= 0 {
		return nil
	}
	run, err := m.run(addr)
	if err != nil || len(run.Data) < n {
		return nil
	}
	return run.Data[:n:n]
}

// IsToken tells whether the byte at an address stands for one that was not kept.
func (m *memory) IsToken(addr uint64) bool {
	run, err := m.run(addr)
	return err == nil && run.Kind == format.Tokens
}

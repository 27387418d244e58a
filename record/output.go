package record

import (
	"encoding/binary"
	"sync"

	"ri/record/format"
)

// blockBytes is about how much goes into one block at most.
const blockBytes = 4 << 20

// output writes blocks while the next ones are made: to compress takes about as long as to paint. It is for one user.
type output struct {
	write func(name string, data []byte, low, high uint64) error
	jobs  chan job
	spare chan []byte
	ended sync.WaitGroup

	mu  sync.Mutex
	err error
}

type job struct {
	name      string
	data      []byte
	low, high uint64
}

func newOutput(write func(name string, data []byte, low, high uint64) error) *output {
	return &output{write: write, spare: make(chan []byte, 2)}
}

// buffer gives one to fill, and put into a block.
func (o *output) buffer() []byte {
	select {
	case b := <-o.spare:
		return b[:0]
	default:
		return make([]byte, 0, blockBytes+blockBytes/4)
	}
}

// block has a block written, sooner or later; the data is no longer the caller's.
func (o *output) block(j job) {
	if o.jobs == nil {
		o.jobs = make(chan job)
		o.ended.Go(func() { o.run(o.jobs) })
	}
	o.jobs <- j
}

func (o *output) run(jobs <-chan job) {
	for j := range jobs {
		if o.failed() != nil {
			continue
		}
		if err := o.write(j.name, j.data, j.low, j.high); err != nil {
			o.fail(err)
		}
		if cap(j.data) <= 2*blockBytes {
			select {
			case o.spare <- j.data:
			default:
			}
		}
	}
}

// fail notes what went wrong first.
func (o *output) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
}

// failed is what went wrong so far.
func (o *output) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// wait waits until all is written.
func (o *output) wait() error {
	if o.jobs != nil {
		close(o.jobs)
		o.ended.Wait()
		o.jobs = nil
	}
	return o.failed()
}

// memoryBytes is about how much goes into one block of memory: what is lost where a file is cut, and what is read for a
// byte.
const memoryBytes = 512 << 10

// runs gathers runs of memory into blocks.
type runs struct {
	name       string
	out        *output
	ahead      func() // called before each block, for what belongs before it
	head, data []byte
	n          int
	low, high  uint64
}

// add takes a run: size bytes at an address, of which there are data unless they are not kept.
func (r *runs) add(addr uint64, size int, kind format.MemoryKind, data []byte) {
	if r.n == 0 {
		r.low = addr
	}
	r.head = format.AppendRun(r.head, addr, size, kind)
	r.data = append(r.data, data...)
	r.n, r.high = r.n+1, addr+uint64(size)
	if len(r.head)+len(r.data) >= memoryBytes {
		r.flush()
	}
}

func (r *runs) flush() {
	if r.n > 0 {
		if r.ahead != nil {
			r.ahead()
		}
		b := binary.LittleEndian.AppendUint32(r.out.buffer(), uint32(r.n))
		r.out.block(job{r.name, append(append(b, r.head...), r.data...), r.low, r.high})
	}
	r.head, r.data, r.n = r.head[:0], r.data[:0], 0
}

package record

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"ri/record/format"
)

// blockBytes is about how much goes into one block at most.
const blockBytes = 4 << 20

// blockWriter is what output needs of a format.Writer.
type blockWriter interface {
	Encode(name string, data []byte, low, high uint64) (format.Encoded, error)
	Put(format.Encoded) error
}

// output writes blocks while the next ones are made: to compress takes about as long as to paint. It is for one user.
type output struct {
	to    blockWriter
	jobs  *line[*job]
	spare sync.Pool // of *[]byte

	err atomic.Pointer[error]
}

type job struct {
	name      string
	data      []byte
	low, high uint64
	fill      func([]byte) []byte // makes the data, if it isn't nil
	encoded   format.Encoded
	ok        bool
}

func newOutput(to blockWriter) *output { return &output{to: to} }

// buffer gives one to fill, and put into a block.
func (o *output) buffer() []byte {
	if b, ok := o.spare.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, memoryBytes+memoryBytes/4)
}

func (o *output) giveBack(b []byte) {
	if cap(b) > 0 && cap(b) <= 2*blockBytes {
		o.spare.Put(&b)
	}
}

// block has a block written, sooner or later; the data is no longer the caller's.
func (o *output) block(j job) {
	if o.jobs == nil {
		o.jobs = newLine(func() func(*job) { return o.encode }, o.put, o.fail)
	}
	o.jobs.add(&j)
}

// encode makes a block ready, on any goroutine.
func (o *output) encode(j *job) {
	if o.failed() != nil {
		return
	}
	if j.fill != nil {
		j.data = j.fill(o.buffer())
	}
	var err error
	if j.encoded, err = o.to.Encode(j.name, j.data, j.low, j.high); err != nil {
		o.fail(err)
		return
	}
	j.ok = true
	o.giveBack(j.data)
	j.data = nil
}

// put writes a block that is ready. They come in order.
func (o *output) put(j *job) {
	if !j.ok || o.failed() != nil {
		return
	}
	if err := o.to.Put(j.encoded); err != nil {
		o.fail(err)
	}
}

// fail notes what went wrong first.
func (o *output) fail(err error) { o.err.CompareAndSwap(nil, &err) }

// failed is what went wrong so far.
func (o *output) failed() error {
	if err := o.err.Load(); err != nil {
		return *err
	}
	return nil
}

// wait waits until all is written.
func (o *output) wait() error {
	if o.jobs != nil {
		o.jobs.close()
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
	take       func(job) // has a block
	buffer     func() []byte
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
		b := binary.LittleEndian.AppendUint32(r.buffer(), uint32(r.n))
		r.take(job{name: r.name, data: append(append(b, r.head...), r.data...), low: r.low, high: r.high})
	}
	r.head, r.data, r.n = r.head[:0], r.data[:0], 0
}

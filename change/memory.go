package change

import (
	"context"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"ri/attach"
)

// allocate gets memory for new strings that are found nowhere in the program: private pages outside the Go heap, which
// no collector minds and nothing ever frees. A thread of the target makes the system call (see attach.Injector). It
// comes before the intent is written, so that the journal has all new bytes. A transaction that fails later leaves the
// pages unused.
func (p *Plan) allocate(ctx context.Context, t Target, opt Options, out *Outcome) error {
	size := 0
	var first *Change
	for _, c := range p.Changes {
		if c.Memory != "" {
			if first == nil {
				first = c
			}
			size += len(c.Memory)
		}
	}
	if first == nil {
		return nil
	}
	size = (size + attach.PageSize - 1) &^ (attach.PageSize - 1)
	why := func(err error) error {
		return fmt.Errorf("%s: %s is neither in the old string nor in the program's constants, so it needs memory "+
			"of its own, which can't be had: %w; "+
			"a part of the old text, or a text that the program has somewhere, can be set without: %w", first.Path,
			shortQuote(first.Memory), err, ErrRefused)
	}
	if ready, ok := t.(attach.Injectable); ok {
		if err := ready.PrepareInject(); err != nil {
			return why(err)
		}
	}
	return out.stopped(ctx, t, opt, func(view attach.View, w attach.Writer) error {
		in, ok := view.(attach.Injector)
		if !ok {
			return why(attach.ErrNotSupported)
		}
		const anywhere, noFile = 0, ^uint64(0)
		const access, kind = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
		addr, err := in.Inject(unix.SYS_MMAP, anywhere, uint64(size), access, kind, noFile, 0)
		if err != nil {
			return why(err)
		}
		var pieces []attach.Piece
		for _, c := range p.Changes {
			if c.Memory == "" {
				continue
			}
			pieces = append(pieces, attach.Piece{Addr: addr, Data: []byte(c.Memory)})
			binary.LittleEndian.PutUint64(c.After[c.memoryAt:], addr)
			addr += uint64(len(c.Memory))
		}
		if err := write(w, pieces); err != nil {
			return why(err)
		}
		return nil
	})
}

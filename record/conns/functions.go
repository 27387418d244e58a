package conns

import (
	"debug/elf"
	"errors"
	"fmt"
	"slices"

	"ri/probe"
	"ri/probe/kernel"
	"ri/probe/place"
	"ri/symbols"
)

// followed are functions through which goes what system calls don't show. Since Go 1.24 random bytes come from the
// vDSO, without a system call (internal/syscall/unix.GetRandom); all of crypto/rand's pass this function.
var followed = []struct {
	name string
	kind kernel.SocketKind
}{
	{"crypto/tls.(*Conn).Read", kernel.SocketPlainRead},
	{"crypto/tls.(*Conn).Write", kernel.SocketPlainWrite},
	{"crypto/internal/sysrand.Read", kernel.SocketRandom},
}

// functions finds what can be followed in an executable, and says what is there and can't.
func functions(file *symbols.File) (list []kernel.SocketFunction, notes []string) {
	for _, f := range followed {
		found, err := place.Find(file, f.name)
		if errors.Is(err, symbols.ErrNotFound) {
			continue // it isn't in the program
		}
		if err != nil {
			notes = append(notes, fmt.Sprintf("what goes through %s isn't seen: %v", f.name, err))
			continue
		}
		for _, fn := range found.Functions {
			at := slices.IndexFunc(fn.Sites, func(s probe.Site) bool { return s.Role == probe.Entry && s.G })
			switch {
			case fn.Entry == 0:
			case at < 0 || len(fn.Returns) == 0:
				notes = append(notes, fmt.Sprintf("what goes through %s isn't seen: its returns can't be probed (%s)", f.name,
					fn.NoReturns))
			default:
				list = append(list, kernel.SocketFunction{Kind: f.kind, Entry: fn.Sites[at], Returns: fn.Returns})
			}
		}
	}
	return list, notes
}

// target is the process' code, as the kernel takes it.
func target(pid int) (kernel.Target, error) {
	t := kernel.Target{PID: pid}
	f, err := elf.Open(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return t, err
	}
	defer f.Close()
	for _, s := range f.Progs {
		if s.Type == elf.PT_LOAD && s.Flags&elf.PF_X != 0 {
			t.Segments = append(t.Segments, kernel.Segment{Addr: s.Vaddr, Size: s.Filesz, Offset: s.Off})
		}
	}
	return t, nil
}

// ciphertext tells whether bytes begin as a record of TLS does (RFC 8446, section 5.1): a type, and version 3.
func ciphertext(b []byte) bool {
	return len(b) >= 3 && b[0] >= 0x14 && b[0] <= 0x17 && b[1] == 3 && b[2] <= 4
}

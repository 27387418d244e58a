// Command trim takes what is zero from the last segment of a static executable of Go's (go run ./scripts/trim FILE), so
// that the kernel doesn't map it: instruments/commands begins with that itself, and can say so where there is no room
// for it. Of ri it is 36 MiB, 32 of them of crypto/internal/fips140/drbg (Go 1.26), beside 29 that have to be there.
package main

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
)

const (
	page      = 4096
	entrySize = 56 // of a 64-bit program header; p_memsz is at 40 (elf.h, Elf64_Phdr)
	headersAt = 64 // where Go's linker puts them: behind the file's header
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: trim FILE")
		os.Exit(2)
	}
	if err := trim(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "trim:", err)
		os.Exit(1)
	}
}

func trim(path string) error {
	file, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for i, p := range file.Progs {
		if p.Type != elf.PT_LOAD || p.Flags&elf.PF_W == 0 {
			continue
		}
		size := (p.Vaddr+p.Filesz+page-1)&^(page-1) - p.Vaddr
		if size >= p.Memsz {
			return nil
		}
		out, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], size)
		if _, err := out.WriteAt(b[:], int64(headersAt+i*entrySize+40)); err != nil {
			return err
		}
		return out.Close()
	}
	return fmt.Errorf("%s has no segment that can be written to", path)
}

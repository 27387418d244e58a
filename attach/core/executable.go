package core

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"

	"ri/attach"
)

// A core names the executable by the path that it was started from. On another machine that is elsewhere: these are the
// places where it usually lies then. Each is checked as one that was given is.

// executablePlaces lists where a core's executable may be, the named path first.
func (c *Core) executablePlaces(named string) []string {
	var places []string
	add := func(path string) {
		for _, p := range places {
			if p == path {
				return
			}
		}
		places = append(places, path)
	}
	if named != "" {
		add(named)
		add(filepath.Join(filepath.Dir(c.path), filepath.Base(named)))
		add(filepath.Base(named))
	}
	add(filepath.Join(filepath.Dir(c.path), "exe"))
	if id := c.buildID(); len(id) > 1 { // where distributions link to executables by the linker's build ID
		text := hex.EncodeToString(id)
		add(filepath.Join("/usr/lib/.build-id", text[:2], text[2:]))
		add(filepath.Join("/usr/lib/debug/.build-id", text[:2], text[2:]))
	}
	found := places[:0]
	for _, p := range places {
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			found = append(found, p)
		}
	}
	return found
}

// buildID reads the linker's build ID (NT_GNU_BUILD_ID) out of the executable's first page, which the core holds; nil
// if it has none.
func (c *Core) buildID() []byte {
	named := c.content.fileAt(c.entry)
	if named == nil {
		return nil
	}
	for _, f := range c.content.files {
		if f.Path != named.Path || f.Offset != 0 {
			continue
		}
		page := make([]byte, attach.PageSize)
		n, _ := c.memory.ReadMemory(page, f.Start)
		_, progs, err := readHeaders(bytes.NewReader(page[:n]), int64(n))
		if err != nil {
			return nil
		}
		for _, p := range progs {
			if elf.ProgType(p.Type) != elf.PT_NOTE || p.Offset > uint64(n) || p.FileSize > uint64(n)-p.Offset {
				continue
			}
			for notes := page[p.Offset : p.Offset+p.FileSize]; len(notes) >= 16; {
				le := binary.LittleEndian
				nameSize, size, kind := le.Uint32(notes), le.Uint32(notes[4:]), le.Uint32(notes[8:])
				start := 12 + (uint64(nameSize)+3)&^3
				if start > uint64(len(notes)) || uint64(size) > uint64(len(notes))-start {
					break
				}
				if kind == 3 && nameSize == 4 && string(notes[12:15]) == "GNU" {
					return notes[start : start+uint64(size)]
				}
				notes = notes[min(uint64(len(notes)), start+(uint64(size)+3)&^3):]
			}
		}
	}
	return nil
}

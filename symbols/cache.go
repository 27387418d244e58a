package symbols

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
	"unsafe"

	"ri/symbols/sparse"
)

// The cache keeps, for one executable, what opening it costs time and memory for: its debug sections decompressed, the
// function table, and the index. A cache file is named by a digest of the executable. It is written whole and then
// renamed, and checked before it is believed. It is mapped, so that a run pays for the pages that it touches. Where
// something is wrong with a file or folder, it is as if it weren't there.
//
// Layout: cacheMagic, length of the header (8 bytes) and its CRC (8 bytes), the header as JSON, padding to 4096 bytes,
// then the parts, each at a multiple of 4096. CRCs are Castagnoli's.

const (
	cacheMagic  = "ri symbols 1\n\x00\x00\x00"
	cacheAlign  = 4096
	cacheSuffix = ".symbols"
)

// worthCaching is how many bytes of debug information make a file worth its place. Of 2 MB, opening takes 50 ms of CPU
// less when it is mapped: a host that is asked of many small programs opens each each time.
var worthCaching uint64 = 512 << 10

// DefaultCacheSize bounds a cache folder, in bytes; the files that were not used for longest go first.
const DefaultCacheSize = 2 << 30

var crcTable = crc32.MakeTable(crc32.Castagnoli)

type cacheHeader struct {
	Digest string
	base
	Parts []cachePart
}

type cachePart struct {
	Name      string
	Off, Size int64
	CRC       uint32
}

// CacheFolder is where the cache of this user lies: $XDG_CACHE_HOME/ri, else ~/.cache/ri; "" if there is no home.
func CacheFolder() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "ri")
}

// OpenCached is Open by way of the cache in folder ("": there is none). separate, if it isn't nil, has the debug
// information (see Wanted). Save, later, puts into the cache what wasn't there.
func OpenCached(r, separate io.ReaderAt, name, folder string) (f *File, err error) {
	debugFile, apart := r, (*elf.File)(nil)
	if separate != nil {
		if apart, err = elf.NewFile(separate); err != nil {
			return nil, fmt.Errorf("%s: its debug file: %w", name, err)
		}
		debugFile = separate
	}
	anew := func() (f *File, err error) {
		gently(func() { f, err = open(r, apart, name, nil) })
		return f, err
	}
	if folder == "" {
		return anew()
	}
	ef, err := elf.NewFile(debugFile)
	if err != nil || ef.Section(".debug_info") == nil || debugSize(ef) < worthCaching {
		return anew()
	}
	digest, err := digestOf(ef, debugFile)
	if apart != nil && err == nil { // the function table is the executable's
		var own string
		if ef, err = elf.NewFile(r); err == nil {
			own, err = digestOf(ef, r)
			digest = fmt.Sprintf("%x", sha256.Sum256([]byte(digest+own)))[:40]
		}
	}
	if err != nil {
		return anew()
	}
	path := filepath.Join(folder, digest+cacheSuffix)
	if c, err := readCache(path, digest); err == nil {
		f, err := open(r, apart, name, c)
		if err == nil && f.noDWARF == nil {
			now := time.Now()
			os.Chtimes(path, now, now) // used: the last to go; no matter if it fails
			return f, nil
		}
	}
	f, err = anew()
	if err == nil && f.noDWARF == nil {
		f.cachePath, f.cacheDigest = path, digest
	}
	return f, err
}

func debugSize(ef *elf.File) (size uint64) {
	for _, s := range ef.Sections {
		if len(s.Name) > 7 && s.Name[:7] == ".debug_" {
			size += s.FileSize
		}
	}
	return size
}

// digestOf identifies an executable by its contents as far as symbols depend on them. All section headers, the notes
// and the build info are read whole; of debug sections and the function table the two ends, and samples between. A
// compressed section ends with the checksum of what was compressed, so the ends tell two apart. One that isn't
// compressed is read whole. Build IDs alone don't do: they may be empty, or the same.
func digestOf(ef *elf.File, r io.ReaderAt) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, cacheMagic, ef.Type, ef.Machine, ef.Entry)
	for _, s := range ef.Sections {
		fmt.Fprintln(h, s.Name, s.Type, s.Flags, s.Addr, s.Offset, s.FileSize, s.Size)
		if s.Type == elf.SHT_NOBITS {
			continue
		}
		var err error
		raw := io.NewSectionReader(r, int64(s.Offset), int64(min(s.FileSize, maxSection)))
		isDebug := len(s.Name) > 7 && s.Name[:7] == ".debug_"
		switch {
		case s.Type == elf.SHT_NOTE || s.Name == ".go.buildinfo" || s.FileSize <= 1<<16:
			_, err = io.Copy(h, raw)
		case isDebug && s.Flags&elf.SHF_COMPRESSED == 0:
			_, err = io.Copy(h, raw)
		case isDebug || s.Name == ".gopclntab" || s.Name == ".symtab" || s.Name == ".strtab" ||
			s.Name == ".data.rel.ro.gopclntab":
			err = sample(h, raw)
		}
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:20]), nil
}

func sample(w io.Writer, r *io.SectionReader) error {
	const piece, pieces = 4096, 16
	for i := range int64(pieces + 1) {
		off := min(r.Size()*i/pieces, r.Size()-piece)
		if _, err := io.Copy(w, io.NewSectionReader(r, off, piece)); err != nil {
			return err
		}
	}
	return nil
}

// cache is a cache file that was found good.
type cache struct {
	header cacheHeader
	parts  map[string][]byte
}

var errCache = errors.New("unusable cache file")

// readCache opens, checks and maps a cache file. It must belong to this user alone: others could otherwise have ri
// believe anything.
func readCache(path, digest string) (*cache, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o022 != 0 || !ownedByMe(info) {
		return nil, errCache
	}
	c := &cache{parts: map[string][]byte{}}
	if err := c.header.read(file, info.Size()); err != nil || c.header.Digest != digest {
		return nil, errCache
	}
	// Checked through a small buffer, so that pages that nobody touches later don't become ri's memory.
	buffer := make([]byte, 1<<18)
	for _, p := range c.header.Parts {
		if err := p.check(file, info.Size(), buffer); err != nil {
			return nil, err
		}
	}
	whole, err := mapFile(file, info.Size())
	if err != nil {
		return nil, err
	}
	for _, p := range c.header.Parts {
		c.parts[p.Name] = whole[p.Off : p.Off+p.Size : p.Off+p.Size]
	}
	return c, nil
}

// read reads the header, which begins the file.
func (h *cacheHeader) read(file io.Reader, fileSize int64) error {
	var head [len(cacheMagic) + 16]byte
	if _, err := io.ReadFull(file, head[:]); err != nil || string(head[:len(cacheMagic)]) != cacheMagic {
		return errCache
	}
	size := binary.LittleEndian.Uint64(head[len(cacheMagic):])
	if size > uint64(fileSize) || size > 1<<28 {
		return errCache
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(file, text); err != nil ||
		uint64(crc32.Checksum(text, crcTable)) != binary.LittleEndian.Uint64(head[len(cacheMagic)+8:]) {
		return errCache
	}
	return json.Unmarshal(text, h)
}

// check reads a part whole and compares its checksum.
func (p cachePart) check(file io.ReaderAt, fileSize int64, buffer []byte) error {
	if p.Off < 0 || p.Size < 0 || p.Off%cacheAlign != 0 || p.Off > fileSize || p.Size > fileSize-p.Off {
		return errCache
	}
	sum := uint32(0)
	for r := io.NewSectionReader(file, p.Off, p.Size); ; {
		n, err := r.Read(buffer)
		sum = crc32.Update(sum, crcTable, buffer[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if sum != p.CRC {
		return errCache
	}
	return nil
}

// debug gives the debug sections.
func (c *cache) debug() map[string]sparse.Bytes {
	sections := map[string]sparse.Bytes{}
	for name, data := range c.parts {
		sections[name] = sparse.Whole(data)
	}
	return sections
}

func (c *cache) index() *index { return indexOf(c.header.Packages, c.parts) }

// indexOf puts together an index of its parts. Names that it has no part of are made when they are needed.
func indexOf(packages map[string]string, parts map[string][]byte) *index {
	x := &index{packages: packages}
	for name, t := range x.tables() {
		t.blob = parts[name+".blob"]
		if part, ok := parts[name]; ok {
			t.entries = viewAs[nameEntry](part)
		}
	}
	x.runtimeTypes, x.constants = viewAs[pair](parts["runtime types"]), viewAs[pair](parts["constants"])
	x.functions = viewAs[function](parts["functions"])
	return x
}

// base is what a file says of where things are.
func (f *File) base() base {
	return base{Text: f.textStart, Types: f.typesBase, GoFunc: f.goFunc, Module: f.module, Packages: f.index.packages}
}

func (f *File) setBase(b *base) {
	f.textStart, f.typesBase, f.goFunc, f.module = b.Text, b.Types, b.GoFunc, b.Module
}

func (x *index) tables() map[string]*names {
	return map[string]*names{"types": &x.types, "vars": &x.vars, "short types": &x.shortTypes,
		"short vars": &x.shortVars}
}

// viewAs sees bytes as a slice of T, and bytesOf a slice of T as bytes. T is made of 4- and 8-byte numbers. The byte
// order is that of the machine that wrote them, as of all processors that ri knows. Parts of a cache file are
// page-aligned; others are copied.
func viewAs[T any](b []byte) []T {
	var t T
	if len(b) < int(unsafe.Sizeof(t)) {
		return []T{}
	}
	if uintptr(unsafe.Pointer(&b[0]))%unsafe.Alignof(t) != 0 {
		aligned := make([]T, len(b)/int(unsafe.Sizeof(t)))
		copy(bytesOf(aligned), b)
		return aligned
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/int(unsafe.Sizeof(t)))
}

func bytesOf[T any](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}

// Save writes the cache file, if OpenCached found none, and makes room for it. It takes as long as opening did, so it
// is for when the work is done. A cache that can't be written is no harm; the error says why, for those who want to
// know.
func (f *File) Save() (err error) {
	if f.cachePath != "" {
		gently(func() { err = f.save() })
	}
	return err
}

func (f *File) save() error {
	path := f.cachePath
	f.cachePath = ""
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f.index.prepareNames()
	header := cacheHeader{Digest: f.cacheDigest, base: f.base()}
	for _, u := range f.dwarf.Units {
		if u.IsGo {
			header.Units = append(header.Units, u.UnitHeader)
		}
	}
	parts := map[string][]byte{}
	for name, section := range f.dwarf.Parts() {
		parts[name], _ = section.Whole()
	}
	parts["runtime types"], parts["constants"], parts["functions"] = bytesOf(f.index.runtimeTypes),
		bytesOf(f.index.constants), bytesOf(f.index.functions)
	if f.pcln != nil {
		parts["pclntab"], _ = f.pcln.data.Whole()
	}
	for name, t := range f.index.tables() {
		parts[name], parts[name+".blob"] = bytesOf(t.entries), t.blob
	}
	order := make([]string, 0, len(parts))
	for name := range parts {
		order = append(order, name)
	}
	slices.Sort(order)
	for _, name := range order {
		header.Parts = append(header.Parts,
			cachePart{Name: name, Size: int64(len(parts[name])), CRC: crc32.Checksum(parts[name], crcTable)})
	}
	// The offsets stand in the header, whose size depends on them: leave room for the longest.
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	off := align(int64(len(cacheMagic)+16+len(text)) + int64(len(order))*24)
	total := off
	for i := range header.Parts {
		header.Parts[i].Off = total
		total = align(total + header.Parts[i].Size)
	}
	if text, err = json.Marshal(header); err != nil {
		return err
	}
	makeRoom(folder, DefaultCacheSize-total)
	return writeWhole(path, func(w io.Writer) error {
		var head bytes.Buffer
		head.WriteString(cacheMagic)
		binary.Write(&head, binary.LittleEndian, []uint64{uint64(len(text)), uint64(crc32.Checksum(text, crcTable))})
		head.Write(text)
		head.Write(make([]byte, off-int64(head.Len())))
		if _, err := w.Write(head.Bytes()); err != nil {
			return err
		}
		for _, p := range header.Parts {
			if _, err := w.Write(parts[p.Name]); err != nil {
				return err
			}
			if _, err := w.Write(make([]byte, align(p.Size)-p.Size)); err != nil {
				return err
			}
		}
		return nil
	})
}

func align(n int64) int64 { return (n + cacheAlign - 1) / cacheAlign * cacheAlign }

// writeWhole writes a file under another name and renames it, so that nobody ever sees half of it.
func writeWhole(path string, write func(io.Writer) error) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // fails once it was renamed
	if err := write(temp); err != nil {
		temp.Close()
		return err
	}
	if err := temp.Close(); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// makeRoom removes the files that were not used for longest until the rest fits, and what a killed ri left half
// written.
func makeRoom(folder string, size int64) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	var files []os.FileInfo
	total := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		switch {
		case filepath.Ext(e.Name()) == cacheSuffix:
			files = append(files, info)
			total += info.Size()
		case len(e.Name()) > 5 && e.Name()[:5] == ".new-" && time.Since(info.ModTime()) > time.Hour:
			os.Remove(filepath.Join(folder, e.Name()))
		}
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range files {
		if total <= size {
			return
		}
		if os.Remove(filepath.Join(folder, info.Name())) == nil {
			total -= info.Size()
		}
	}
}

package record

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"ri/attach/recorded"
	"ri/instruments/looks"
	"ri/record/format"
	"ri/record/redact"
	"ri/symbols"
)

// Tightened says what of a recording was taken out.
type Tightened struct {
	Before, After Counts
	// Unknown are types that the rules couldn't be asked about, since the recording hasn't their layout; nothing of
	// them is kept.
	Unknown []string
}

// Tighten writes a recording once more, and keeps of it what the policy keeps, too. It takes away, never gives back.
// Texts that were kept and aren't any more get tokens of the key. Tokens stay as they are, unless they are masked or
// dropped.
//
// Errors: format.ErrMalformed, format.ErrCutShort of a recording without its end, errors of the files.
func Tighten(r *recorded.Recording, opt Options, file *os.File) (done Tightened, err error) {
	if r.File().CutShort() {
		return done, fmt.Errorf("%s: only what is whole is redacted again: %w", r.Describe(), format.ErrCutShort)
	}
	t := &tightener{r: r, file: r.File(), policy: opt.Policy, tokens: redact.NewTokens(opt.Key), used: map[uint64]int{},
		stand: map[[16]byte]uint64{}, keptAs: map[string]*keptPlaces{}}
	if t.symbols, err = looks.RecordedSymbols(r); err != nil {
		return done, err
	}
	if err := json.Unmarshal(t.file.Header(), &t.header); err != nil {
		return done, fmt.Errorf("its header: %v: %w", err, format.ErrMalformed)
	}
	done.Before = t.header.Counts
	for _, step := range []func() error{t.readTyped, t.readKept, t.readTokens} {
		if err := step(); err != nil {
			return done, err
		}
	}
	for look := range r.Looks() {
		if err := t.decide(look + 1); err != nil {
			return done, err
		}
	}
	if err := t.decideHits(); err != nil {
		return done, err
	}
	t.header.Policy.Rules += len(opt.Policy.Rules)
	t.header.Policy.DenyNumbers = t.header.Policy.DenyNumbers || opt.Policy.DenyNumbers
	t.header.Complete = false
	t.header.Counts = Counts{Unknown: done.Before.Unknown}
	if t.writer, err = begin(file, opt.Recipients, &t.header); err != nil {
		return done, err
	}
	if err := t.write(); err != nil {
		return done, err
	}
	t.header.Complete = true
	done.After, done.Unknown = t.header.Counts, t.unknown
	return done, t.writer.Close(&t.header)
}

// tightener redacts a recording again. What a thing is, and so what is to be done with each of its bytes, is known by
// the block of types; what is to be done is decided first, since one header may say something of what others lead to.
type tightener struct {
	r       *recorded.Recording
	file    *format.Reader
	symbols *symbols.File
	policy  *redact.Policy
	tokens  *redact.Tokens
	header  Header
	writer  *outputFile

	typed   []Typed
	layouts []*redact.Layout // of each, nil where none is known
	unknown []string
	kept    []Kept
	places  []extent // of all kept texts
	common  []extent // of those that are constants

	next   uint64              // where the next token comes
	used   map[uint64]int      // tokens that are left, by address, and their sizes
	fresh  []format.Memory     // tokens that are new
	stand  map[[16]byte]uint64 // digest of a text -> address of what stands for it now
	keptAs map[string]*keptPlaces
	edits  []edits // of each look

	constants *recorded.Constants // that hits lead to
	taken     []extent            // of them, what isn't kept any more
}

// edits are what becomes of the memory of a look.
type edits struct {
	denied []extent
	set    []format.Memory // other bytes in the place of what was there
}

func (t *tightener) readTyped() (err error) {
	if t.typed, err = readTyped(t.file); err != nil {
		return err
	}
	t.layOut()
	return nil
}

// layOut makes the layouts of what is typed.
func (t *tightener) layOut() {
	t.layouts = make([]*redact.Layout, len(t.typed))
	for i := range t.typed {
		one := &t.typed[i]
		if typ, err := t.symbols.Type(one.Type); err == nil && typ.Size == one.Size {
			t.layouts[i] = t.policy.Of(typ, one.Variable)
			one.Fields = both(one.Fields, fieldsOf(t.layouts[i]))
			continue
		}
		if t.layouts[i] = t.byFields(one); t.layouts[i] != nil {
			one.Fields = both(one.Fields, fieldsOf(t.layouts[i]))
			continue
		}
		one.Fields = nil
		if !slices.Contains(t.unknown, one.Type) {
			t.unknown = append(t.unknown, one.Type)
		}
	}
}

// byFields makes a layout of what was kept of a type whose own didn't travel. It is nil where a rule that takes
// something away may be about a struct by value in it: such have no names among the fields.
func (t *tightener) byFields(one *Typed) *redact.Layout {
	for _, r := range t.policy.Rules {
		if r.Action != redact.Keep && (r.Type != "" || r.Package != "") {
			return nil
		}
	}
	typ := &symbols.Type{Name: one.Type, Size: one.Size}
	var layout func(list []Field) *redact.Layout
	layout = func(list []Field) *redact.Layout {
		l := &redact.Layout{Type: typ}
		for _, f := range list {
			p := redact.Piece{Offset: f.Offset, Size: f.Size, Field: f.Name, Kind: kinds[f.Kind]}
			p.Action = t.policy.Field(one.Type, one.Variable, f.Name, f.Kind == "string" || f.Kind == "bytes",
				p.Kind != reflect.Invalid && p.Kind != reflect.Bool && !redact.OfRuntime(typ))
			switch f.Kind {
			case "array":
				p = redact.Piece{Offset: f.Offset, Size: f.Size, Field: f.Name, Count: f.Count, Elem: layout(f.Fields)}
			case "string":
				p.Form = redact.Text
			case "slice":
				p.Form, p.Action = redact.Slice, redact.Keep
			case "bytes":
				p.Form = redact.Contents
			case "padding":
				p.Form = redact.Padding
			case "control":
				p.Form = redact.Control
			}
			l.Pieces = append(l.Pieces, p)
		}
		return l
	}
	return layout(one.Fields)
}

// both are the fields that two lists have.
func both(a, b []Field) (out []Field) {
	at := map[[2]int64]Field{}
	for _, f := range b {
		at[[2]int64{f.Offset, f.Size}] = f
	}
	for _, f := range a {
		other, ok := at[[2]int64{f.Offset, f.Size}]
		if !ok || f.Kind != other.Kind || f.Count != other.Count {
			continue
		}
		if f.Count > 0 {
			if f.Fields = both(f.Fields, other.Fields); len(f.Fields) == 0 {
				continue
			}
		}
		out = append(out, f)
	}
	return out
}

func (t *tightener) readKept() (err error) {
	if t.kept, err = readKept(t.file); err != nil {
		return err
	}
	t.findKept()
	return nil
}

// findKept notes where the kept texts are.
func (t *tightener) findKept() {
	for _, k := range t.kept {
		for _, place := range k.Places {
			t.places = append(t.places, extent{place[0], int(place[1])})
			if k.Constant {
				t.common = append(t.common, extent{place[0], int(place[1])})
			}
		}
	}
	t.places, t.common = sorted(t.places), sorted(t.common)
}

// readTokens finds the end of the tokens that are there.
func (t *tightener) readTokens() error {
	return t.eachToken(func(run format.Memory) {
		t.next = max(t.next, (run.Addr+uint64(run.Size)+15)&^15)
	})
}

func (t *tightener) eachToken(f func(format.Memory)) error {
	for _, b := range t.file.Blocks() {
		if b.Name != format.TokenBlock {
			continue
		}
		runs, err := readRuns(t.file, b)
		if err != nil {
			return err
		}
		for _, run := range runs {
			f(run)
		}
	}
	return nil
}

func readRuns(file *format.Reader, b format.Block) ([]format.Memory, error) {
	data, err := file.Read(b)
	if err != nil {
		return nil, err
	}
	return format.ReadMemory(data)
}

// holds tells whether bytes lie in one of the extents, which are sorted.
func holds(list []extent, addr uint64, n int) bool {
	i, _ := slices.BinarySearchFunc(list, addr, func(e extent, addr uint64) int {
		if e.end() <= addr {
			return -1
		}
		return 1
	})
	return i < len(list) && list[i].addr <= addr && addr+uint64(n) <= list[i].end()
}

// write writes the blocks, in the order of files of the present version.
func (t *tightener) write() error {
	blocks := inOrder(t.file)
	for i, b := range blocks {
		last := i+1 == len(blocks) || blocks[i+1].Name != b.Name
		if err := t.block(b, last); err != nil {
			return err
		}
	}
	return nil
}

func (t *tightener) block(b format.Block, last bool) error {
	data, err := t.file.Read(b)
	if err != nil {
		return err
	}
	var look int
	switch {
	case b.Name == typedBlock:
		if !last || t.typed == nil {
			return nil
		}
		return t.writeTyped()
	case b.Name == keptBlock:
		if !last || t.kept == nil {
			return nil
		}
		return t.writeKept()
	case b.Name == format.TokenBlock:
		return t.writeTokens(data, b)
	case scanLook(b.Name, &look):
		return t.writeMemory(data, b, look)
	case b.Name == format.HitsBlock:
		return t.hits(data)
	case b.Name == format.TraceBlock:
		return t.trace(data)
	case b.Name == format.ProcessBlock && t.file.Version() == 1:
		return t.writeProcess()
	}
	return t.writer.Block(b.Name, data, b.Low, b.High)
}

func scanLook(name string, look *int) bool {
	_, err := fmt.Sscanf(name, "memory/%d", look)
	return err == nil && name == format.MemoryBlock(*look)
}

// inOrder are the blocks as the present version has them.
func inOrder(file *format.Reader) []format.Block {
	if file.Version() > 1 {
		return file.Blocks()
	}
	rank := func(b format.Block) int {
		first := []string{format.ProcessBlock, recorded.SymbolsBlock + "/", recorded.SymbolsBlock, typedBlock, keptBlock,
			format.TokenBlock, format.OriginsBlock, "memory/"}
		return slices.IndexFunc(first, func(name string) bool {
			return name == b.Name || strings.HasSuffix(name, "/") && strings.HasPrefix(b.Name, name)
		})
	}
	blocks := slices.Clone(file.Blocks())
	slices.SortStableFunc(blocks, func(a, b format.Block) int { return cmp.Compare(rank(a), rank(b)) })
	return blocks
}

// writeProcess writes what version 1 had in one block.
func (t *tightener) writeProcess() error {
	process := *t.r.Process()
	process.Looks = nil
	if err := t.json(format.ProcessBlock, process); err != nil {
		return err
	}
	for i, look := range t.r.Process().Looks {
		if err := t.json(format.LookBlock(i+1), look); err != nil {
			return err
		}
	}
	return nil
}

func (t *tightener) json(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return t.writer.Block(name, text, 0, 0)
}

// sortedFields are the names of those whose texts are still kept.
func (t *tightener) sortedFields() []string { return slices.Sorted(maps.Keys(t.keptAs)) }

package record

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"

	"ri/attach/recorded"
	"ri/record/format"
	"ri/secrets"
)

// keptBlock lists the texts that are kept.
const keptBlock = "kept"

// Kept is texts that are kept as they are, for one reason.
type Kept struct {
	// Field is the type and the path in it that a rule keeps; "" of constants of the program.
	Field    string      `json:"field"`
	Constant bool        `json:"constant"`
	Places   [][2]uint64 `json:"places"` // address and length of each
}

// Audit is what a person reads before a recording is sent.
type Audit struct {
	Kept  []KeptTexts
	Found []Found
	Read  int64 // bytes that were looked through, decompressed

	constants []extent
	sampled   int // bytes of all samples
}

// KeptTexts are texts of one field.
type KeptTexts struct {
	Field    string // "" of constants of the program
	Constant bool
	Count    int
	Bytes    int64
	Samples  []string // some of them, whole; of a field that is asked for, all
}

// Found is something in a recording that looks like what shouldn't be there.
type Found struct {
	What  string // "e-mail address", "card number", ..., or the word that was asked for
	Form  string // how it stands there: "as it is", "in hexadecimal", ...
	Where string // the block, and the offset in it when it is decompressed
	Text  string // what was found, at most maxShown bytes
}

const (
	maxShown   = 120 // bytes of what was found
	maxFound   = 1000
	maxSamples = 3
	maxSampled = 256 << 20 // bytes of all samples
)

// Check looks through a recording: at each text that is kept, and in all blocks for what patterns and words find, in
// several forms. words are looked for without regard to case. all has every kept text among the samples.
//
// Errors: format.ErrMalformed, errors of the file.
func Check(file *format.Reader, r *recorded.Recording, words []string, all bool) (*Audit, error) {
	a := &Audit{}
	if err := a.kept(file, r, all); err != nil {
		return nil, err
	}
	constants := recorded.NewConstants()
	for _, b := range file.Blocks() {
		data, err := file.Read(b)
		if err != nil {
			return nil, err
		}
		a.Read += int64(len(data))
		if b.Name == format.HitsBlock {
			if err := a.hits(data, constants, words, all); err != nil {
				return nil, err
			}
		}
		// Other blocks are names of code, numbers, and tokens, which look like anything.
		s := searcher{audit: a, block: b.Name, words: words, patterns: strings.HasPrefix(b.Name, "memory/")}
		if s.patterns {
			if err := a.withoutConstants(data); err != nil {
				return nil, err
			}
		}
		s.search(data)
	}
	s := searcher{audit: a, block: "the header", words: words}
	s.search(file.Header())
	a.close()
	return a, nil
}

// Shorten leaves a few samples of each field.
func (a *Audit) Shorten() {
	for i := range a.Kept {
		a.Kept[i].Samples = a.Kept[i].Samples[:min(len(a.Kept[i].Samples), maxSamples)]
	}
}

// close puts what was found in order. What lies in two parts of a block was found twice.
func (a *Audit) close() {
	slices.SortStableFunc(a.Found, func(x, y Found) int { return cmp.Compare(x.What, y.What) })
	a.Found = slices.Compact(a.Found)
}

// withoutConstants writes over the program's own constants in a block of memory, which anybody finds in the executable.
func (a *Audit) withoutConstants(block []byte) error {
	runs, err := format.ReadMemory(block)
	if err != nil {
		return err
	}
	for _, run := range runs {
		i, _ := slices.BinarySearchFunc(a.constants, run.Addr, func(e extent, addr uint64) int {
			if e.end() <= addr {
				return -1
			}
			return 1
		})
		for ; i < len(a.constants) && a.constants[i].addr < run.Addr+uint64(run.Size); i++ {
			from, to := max(a.constants[i].addr, run.Addr), min(a.constants[i].end(), run.Addr+uint64(run.Size))
			if run.Data != nil {
				clear(run.Data[from-run.Addr : to-run.Addr])
			}
		}
	}
	return nil
}

// readKept reads which texts are kept: nothing, of a file that was cut before it says so.
func readKept(file *format.Reader) (list []Kept, err error) {
	at, total := map[string]int{}, 0
	for _, b := range file.Blocks() {
		if b.Name != keptBlock {
			continue
		}
		text, err := file.Read(b)
		if err != nil {
			return nil, err
		}
		part, err := parseKept(text)
		if err != nil {
			return nil, err
		}
		for _, k := range part {
			if total += 1 + len(k.Places); total > maxTyped {
				return nil, fmt.Errorf("more than %d kept texts: %w", maxTyped, format.ErrMalformed)
			}
			key := fmt.Sprint(k.Constant, k.Field)
			if i, ok := at[key]; ok {
				list[i].Places = append(list[i].Places, k.Places...)
				continue
			}
			at[key], list = len(list), append(list, k)
		}
	}
	return list, nil
}

// parseKept reads a block, or a part of one, of kept texts.
func parseKept(text []byte) (part []Kept, err error) {
	if len(text) == 0 {
		return nil, nil
	}
	if err := format.Unmarshal(text, &part); err != nil {
		return nil, fmt.Errorf("what it says of kept texts: %w", err)
	}
	for _, k := range part {
		for _, place := range k.Places {
			if place[1] > maxText || place[0]+place[1] < place[0] {
				return nil, fmt.Errorf("a kept text of %d bytes: %w", place[1], format.ErrMalformed)
			}
		}
	}
	return part, nil
}

func (a *Audit) kept(file *format.Reader, r *recorded.Recording, all bool) error {
	list, err := readKept(file)
	if err != nil {
		return err
	}
	for _, k := range list {
		one := KeptTexts{Field: k.Field, Constant: k.Constant, Count: len(k.Places)}
		for _, place := range k.Places {
			one.Bytes += int64(place[1])
			if k.Constant {
				a.constants = append(a.constants, extent{place[0], int(place[1])})
			}
			if !all && len(one.Samples) >= maxSamples || a.sampled >= maxSampled {
				continue
			}
			b := make([]byte, place[1])
			if n, err := r.ReadMemory(b, place[0]); err != nil {
				b = bytes.Clone(b[:n])
			}
			a.sampled += len(b)
			one.Samples = append(one.Samples, string(b))
		}
		a.Kept = append(a.Kept, one)
	}
	a.constants = sorted(a.constants)
	return nil
}

// searcher looks through one block.
type searcher struct {
	audit    *Audit
	block    string
	words    []string
	patterns bool
	tokens   []string // that stand for secrets already
}

var (
	printableRun = regexp.MustCompile(`[\x20-\x7e\t]{6,}`)
	base64Run    = regexp.MustCompile(`[A-Za-z0-9+/_-]{16,}`)
	hexRun       = regexp.MustCompile(`(?:[0-9a-fA-F]{2}){8,}`)
	percentRun   = regexp.MustCompile(`(?:[A-Za-z0-9._~+-]*(?:%[0-9a-fA-F]{2})+)+[A-Za-z0-9._~+-]*`)
	wideRun      = regexp.MustCompile(`(?:[\x20-\x7e]\x00){6,}`)

	email   = regexp.MustCompile(`[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}\b`)
	address = regexp.MustCompile(`\b(?:\d{1,3}\.){3}\d{1,3}\b`)
	card    = regexp.MustCompile(`\b\d(?:[ -]?\d){12,18}\b`)
)

// search looks through data by parts: what a part's matches take is bounded, whatever somebody put there.
func (s *searcher) search(data []byte) {
	for at := 0; ; at += searchPart {
		end := min(at+searchPart+searchOverlap, len(data))
		s.part(data[at:end], at)
		if end == len(data) {
			return
		}
	}
}

const (
	searchPart    = 1 << 20
	searchOverlap = 4096 // longer than what is looked for
)

func (s *searcher) part(data []byte, base int) {
	s.text("as it is", data, base)
	for _, at := range wideRun.FindAllIndex(data, -1) {
		wide := data[at[0]:at[1]]
		units := make([]uint16, len(wide)/2)
		for i := range units {
			units[i] = uint16(wide[2*i]) | uint16(wide[2*i+1])<<8
		}
		s.text("in UTF-16", []byte(string(utf16.Decode(units))), base+at[0])
	}
	for _, at := range hexRun.FindAllIndex(data, -1) {
		if b, err := hex.DecodeString(string(data[at[0]:at[1]])); err == nil {
			s.text("in hexadecimal", b, base+at[0])
		}
	}
	for _, at := range percentRun.FindAllIndex(data, -1) {
		if text, err := url.PathUnescape(string(data[at[0]:at[1]])); err == nil {
			s.text("in a URL's form", []byte(text), base+at[0])
		}
	}
	for _, at := range base64Run.FindAllIndex(data, -1) {
		for shift := range 4 { // where it begins isn't known
			part := strings.NewReplacer("-", "+", "_", "/").Replace(string(data[at[0]+shift : at[1]]))
			if b, err := base64.RawStdEncoding.DecodeString(part[:len(part)/4*4]); err == nil {
				s.text("in base64", b, base+at[0]+shift)
			}
		}
	}
}

// text looks for words and patterns in what was read in some form.
func (s *searcher) text(form string, data []byte, at int) {
	lower := toLower(data)
	for _, w := range s.words {
		if i := bytes.Index(lower, toLower([]byte(w))); i >= 0 && w != "" {
			s.found(w, form, at+i, data[i:min(len(data), i+len(w))])
		}
	}
	if !s.patterns {
		return
	}
	for _, run := range printableRun.FindAllIndex(data, -1) {
		text := string(data[run[0]:run[1]])
		for _, p := range []struct {
			what string
			form *regexp.Regexp
			is   func(string) bool
		}{{"e-mail address", email, isAddress}, {"IP address", address, isPublic}, {"card number", card, luhn}} {
			for _, found := range p.form.FindAllStringIndex(text, 4) {
				if part := text[found[0]:found[1]]; p.is(part) {
					s.found(p.what, form, at+run[0]+found[0], []byte(part))
				}
			}
		}
		for _, token := range s.tokens {
			for _, scheme := range []string{"Bearer ", "Basic ", "Digest ", "Token ", ""} { // RFC 9110, 11.4
				text = strings.ReplaceAll(text, scheme+token, secrets.Masked)
			}
		}
		if shown, n := secrets.Text(text); n > 0 {
			s.found("what looks like a key or a password", form, at+run[0], []byte(shown))
		}
	}
}

// toLower is for ASCII, and leaves all else where it is.
func toLower(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}

func (s *searcher) found(what, form string, at int, text []byte) {
	if len(s.audit.Found) < maxFound {
		s.audit.Found = append(s.audit.Found, Found{what, form, fmt.Sprintf("%s, at %d", s.block, at),
			string(text[:min(len(text), maxShown)])})
	}
}

// isAddress leaves out versions of modules: example.com/mod@v1.2.3.
func isAddress(text string) bool {
	_, domain, _ := strings.Cut(text, "@")
	return !regexp.MustCompile(`^v\d`).MatchString(domain)
}

// isPublic leaves out what every program has among its constants.
func isPublic(text string) bool {
	for part := range strings.SplitSeq(text, ".") {
		if len(part) > 3 || len(part) == 3 && part > "255" || len(part) > 1 && part[0] == '0' {
			return false
		}
	}
	return !strings.HasPrefix(text, "0.") && !strings.HasPrefix(text, "127.") && !strings.HasPrefix(text, "255.")
}

// luhn tells whether a number has the check digit of a card's (ISO/IEC 7812-1).
func luhn(text string) bool {
	sum, n := 0, 0
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] < '0' || text[i] > '9' {
			continue
		}
		d := int(text[i] - '0')
		if n%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum, n = sum+d, n+1
	}
	return n >= 13 && n <= 19 && sum%10 == 0 && sum > 0
}

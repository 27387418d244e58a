package secrets

import (
	"bytes"
	"math"
	"regexp"
	"strings"
)

// pattern is a form that secrets have. Its first group is what stays before the secret, its last what stays behind it.
// Both may be empty.
type pattern struct {
	has  []string // one of these is in every text that has the form; none: no such
	form *regexp.Regexp
	is   func(parts []string) bool // whether what was found is one; nil: it is
}

// key is the form of keys that begin at a word's beginning and have one of these forms.
func key(forms ...string) *regexp.Regexp {
	return regexp.MustCompile(`()\b(?:` + strings.Join(forms, "|") + `)()`)
}

func (p *pattern) may(text string) bool {
	for _, h := range p.has {
		if strings.Contains(text, h) {
			return true
		}
	}
	return len(p.has) == 0
}

// patterns in the order in which they are looked for. Sources: the issuers' documentation of their keys' forms; RFC
// 7519 (JWT), 7468 (PEM), 3986 (user information in URLs).
var patterns = []pattern{
	{has: []string{"PRIVATE KEY"}, form: regexp.MustCompile(`(?s)()-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?` +
		`(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|$)()`)},
	{has: []string{"eyJ"}, form: key(`eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*`)}, // JWT
	{has: []string{"AKIA", "ASIA", "ABIA", "ACCA"}, form: key(`(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b`)},
	{has: []string{"AIza", "ya29.", "GOCSPX-"}, form: key(`AIza[\w-]{30,}`, `ya29\.[\w.-]{10,}`, `GOCSPX-[\w-]{10,}`)},
	{has: []string{"gh", "github_pat_", "gl"}, form: key(`gh[pousr]_[A-Za-z0-9]{20,}`, `github_pat_\w{20,}`,
		`gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat)-[\w-]{16,}`)},
	{has: []string{"xox", "xapp-", "xoxe"}, form: key(`xox[a-z](?:\.xox[a-z])?-[\w-]{8,}`, `xapp-[\w-]{8,}`)},
	{has: []string{"hooks.slack.com", "/api/webhooks/", "webhook.office.com", "hooks.zapier.com"},
		form: regexp.MustCompile(`((?:hooks\.slack\.com/(?:services|workflows|triggers)|/api/webhooks|webhook\.office\.com|` +
			`hooks\.zapier\.com/hooks)/)[^\s"'<>]+()`)},
	{has: []string{"sk", "rk_", "pk_", "whsec_", "SG.", "npm_", "pypi-", "dop_v1_", "hvs.", "hvb.", "AGE-SECRET-KEY-",
		"shpat_", "shpss_", "dckr_pat_", "lin_api_", "figd_", "hf_", "nvapi-", "glsa_", "EAAC", "r8_"},
		form: key(`[sr]k_(?:live|test)_\w{10,}`, `whsec_\w{10,}`, `sk-[\w-]{20,}`, `SK[0-9a-f]{32}\b`,
			`SG\.[\w-]{10,}\.[\w-]{10,}`, `npm_\w{20,}`, `pypi-[\w-]{16,}`, `dop_v1_[0-9a-f]{20,}`, `hv[sb]\.[\w-]{20,}`,
			`AGE-SECRET-KEY-1[A-Z0-9]{20,}`, `shp(?:at|ss|ca|pa)_[0-9a-fA-F]{20,}`, `dckr_pat_[\w-]{20,}`,
			`lin_api_\w{20,}`, `figd_[\w-]{20,}`, `hf_[A-Za-z]{20,}`, `nvapi-[\w-]{20,}`, `glsa_\w{20,}`,
			`EAAC[A-Za-z0-9]{20,}`, `r8_\w{20,}`)},
	{has: []string{":AA"}, form: key(`[0-9]{8,10}:AA[\w-]{30,}`)}, // Telegram
	// A password in a URL, and a token in one.
	{has: []string{"://"}, form: regexp.MustCompile(`(://[^\s:/@?#"'<>]*:)[^\s/@"'<>]+(@)`)},
	{has: []string{"://"}, form: regexp.MustCompile(`(://)[^\s:/@?#"'<>]{16,}(@)`)},
	// user:password@tcp(host:3306)/name, as go-sql-driver/mysql has it.
	{has: []string{"@tcp(", "@unix("}, form: regexp.MustCompile(`([^\s:/@"']*:)[^\s"']+?(@(?:tcp|unix)\()`)},
	{has: []string{"earer ", "asic "}, form: regexp.MustCompile(`(\b(?i:bearer|basic)\s+)[A-Za-z0-9+/=_.~-]{6,}()`)},
	// password=x, "token": "x", Authorization: x, password: "x" as Go prints a struct. Where the value isn't quoted it
	// ends at a space or a separator.
	{has: []string{"=", ":"}, form: regexp.MustCompile(`((?:^|[^\w.-])["']?([A-Za-z][\w.-]*)["']?\s*(?:=|:)\s*` +
		`(?:[\w./*]+\()?)(\(masked\)|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\x60[^\x60]*\x60|[^\s,;&"'(){}\[\]]+)()`),
		is: namesSecret},
}

// namesSecret tells whether a name and what follows it are a secret's.
func namesSecret(parts []string) bool {
	value := strings.Trim(parts[3], "\"'`")
	return Name(parts[2]) && value != "" && !plainWord(value)
}

// plainWord tells values that are no secret whatever they are called.
func plainWord(value string) bool {
	switch strings.ToLower(value) {
	case "true", "false", "nil", "null", "none", "<nil>", "yes", "no", "on", "off", "string", "int", "bool", "error":
		return true
	}
	return false
}

// random tells whether a value looks like a key of no known form: long, and made of letters and digits as chance mixes
// them.
func random(value string) bool {
	for _, run := range strings.FieldsFunc(value, func(r rune) bool { return !isBase64(r) }) {
		if randomRun(run) {
			return true
		}
		for _, part := range strings.FieldsFunc(run, func(r rune) bool {
			return r == '-' || r == '_' || r == '/' ||
				r == '+'
		}) {
			if randomRun(part) {
				return true
			}
		}
	}
	return false
}

func isBase64(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '+' || r == '/' || r == '_' ||
		r == '-' || r == '='
}

// Lengths from which letters and digits that mix as by chance are taken for a key: of hexadecimal digits 128 bits, of
// others 100 and more.
const (
	leastHex    = 32
	leastBase64 = 20
)

// randomRun judges letters and digits without a separator: as many bits of entropy as chance gives a text of that
// length and alphabet, with some allowance. Words of languages and identifiers have less, and few digits.
func randomRun(run string) bool {
	run = strings.TrimRight(run, "=")
	if len(run) < leastBase64 {
		return false
	}
	m := makeupOf(run)
	letters, mixed := m.lower+m.upper, m.upper > 0 && m.lower > 0
	switch {
	case m.hex:
		return len(run) >= leastHex && m.digits >= 3 && letters >= 3 && m.bits > 3
	case m.others > len(run)/8, letters < 2, m.digits < 2 && !(mixed && 5*m.changes > 2*len(run)):
		return false
	case mixed:
		return m.bits > 0.82*math.Log2(float64(min(len(run), 62))) && m.changes >= len(run)/4
	}
	return len(run) >= 24 && m.bits > 0.8*math.Log2(float64(min(len(run), 36))) && m.changes >= len(run)/5
}

// makeup is what a text consists of.
type makeup struct {
	digits, lower, upper, others int     // characters
	changes                      int     // from one of these kinds to another
	hex                          bool    // hexadecimal digits only
	bits                         float64 // of entropy in a character
}

func makeupOf(text string) makeup {
	m := makeup{hex: true}
	var counts [128]int
	var last *int
	for _, c := range []byte(text) {
		counts[c&127]++
		m.hex = m.hex && strings.IndexByte("0123456789abcdefABCDEF", c) >= 0
		kind := &m.others
		switch {
		case c >= '0' && c <= '9':
			kind = &m.digits
		case c >= 'a' && c <= 'z':
			kind = &m.lower
		case c >= 'A' && c <= 'Z':
			kind = &m.upper
		}
		*kind++
		if last != nil && last != kind {
			m.changes++
		}
		last = kind
	}
	for _, n := range counts {
		if n > 0 {
			p := float64(n) / float64(len(text))
			m.bits -= p * math.Log2(p)
		}
	}
	return m
}

func (p *pattern) mayBytes(text []byte) bool {
	for _, h := range p.has {
		if bytes.Contains(text, []byte(h)) {
			return true
		}
	}
	return len(p.has) == 0
}

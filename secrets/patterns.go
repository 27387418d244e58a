package secrets

import (
	"math"
	"regexp"
	"strings"
)

// pattern is a form that secrets have. Its first group is what stays before the secret, its last what stays behind it; both may be empty.
type pattern struct {
	what string
	has  []string // one of these is in every text that has the form; none: no such
	form *regexp.Regexp
	is   func(parts []string) bool // whether what was found is one; nil: it is
}

func (p *pattern) may(text string) bool {
	for _, h := range p.has {
		if strings.Contains(text, h) {
			return true
		}
	}
	return len(p.has) == 0
}

// patterns in the order in which they are looked for. Sources: the issuers' documentation of their keys' forms; RFC 7519 (JWT), 7468 (PEM), 3986 (user information in URLs).
var patterns = []pattern{
	{"PEM private key", []string{"PRIVATE KEY"}, regexp.MustCompile(`(?s)()-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|$)()`), nil},
	{"JWT", []string{"eyJ"}, regexp.MustCompile(`()\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*()`), nil},
	{"AWS access key", []string{"AKIA", "ASIA", "ABIA", "ACCA"}, regexp.MustCompile(`()\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b()`), nil},
	{"Google key", []string{"AIza", "ya29.", "GOCSPX-"}, regexp.MustCompile(`()\b(?:AIza[\w-]{30,}|ya29\.[\w.-]{10,}|GOCSPX-[\w-]{10,})()`), nil},
	{"GitHub or GitLab token", []string{"gh", "github_pat_", "gl"}, regexp.MustCompile(`()\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat)-[\w-]{16,})()`), nil},
	{"Slack token", []string{"xox", "xapp-", "xoxe"}, regexp.MustCompile(`()\b(?:xox[a-z](?:\.xox[a-z])?-[\w-]{8,}|xapp-[\w-]{8,})()`), nil},
	{"webhook", []string{"hooks.slack.com", "/api/webhooks/", "webhook.office.com", "hooks.zapier.com"},
		regexp.MustCompile(`((?:hooks\.slack\.com/(?:services|workflows|triggers)|/api/webhooks|webhook\.office\.com|hooks\.zapier\.com/hooks)/)[^\s"'<>]+()`), nil},
	{"key with a prefix", []string{"sk", "rk_", "pk_", "whsec_", "SG.", "npm_", "pypi-", "dop_v1_", "hvs.", "hvb.", "AGE-SECRET-KEY-", "shpat_", "shpss_", "dckr_pat_", "lin_api_", "figd_", "hf_", "nvapi-", "glsa_", "EAAC", "r8_"},
		regexp.MustCompile(`()\b(?:[sr]k_(?:live|test)_\w{10,}|whsec_\w{10,}|sk-[\w-]{20,}|SK[0-9a-f]{32}\b|SG\.[\w-]{10,}\.[\w-]{10,}|npm_\w{20,}|pypi-[\w-]{16,}|dop_v1_[0-9a-f]{20,}|hv[sb]\.[\w-]{20,}|AGE-SECRET-KEY-1[A-Z0-9]{20,}|shp(?:at|ss|ca|pa)_[0-9a-fA-F]{20,}|dckr_pat_[\w-]{20,}|lin_api_\w{20,}|figd_[\w-]{20,}|hf_[A-Za-z]{20,}|nvapi-[\w-]{20,}|glsa_\w{20,}|EAAC[A-Za-z0-9]{20,}|r8_\w{20,})()`), nil},
	{"Telegram token", []string{":AA"}, regexp.MustCompile(`()\b[0-9]{8,10}:AA[\w-]{30,}()`), nil},
	{"password in a URL", []string{"://"}, regexp.MustCompile(`(://[^\s:/@?#"'<>]*:)[^\s/@"'<>]+(@)`), nil},
	{"token in a URL", []string{"://"}, regexp.MustCompile(`(://)[^\s:/@?#"'<>]{16,}(@)`), nil},
	// user:password@tcp(host:3306)/name, as go-sql-driver/mysql has it.
	{"password of a MySQL DSN", []string{"@tcp(", "@unix("}, regexp.MustCompile(`([^\s:/@"']*:)[^\s"']+?(@(?:tcp|unix)\()`), nil},
	{"bearer", []string{"earer ", "asic "}, regexp.MustCompile(`(\b(?i:bearer|basic)\s+)[A-Za-z0-9+/=_.~-]{6,}()`), nil},
	// password=x, "token": "x", Authorization: x, password: "x" as Go prints a struct. Where the value isn't quoted it ends at a space or a separator.
	{"what follows a name", []string{"=", ":"}, regexp.MustCompile(`((?:^|[^\w.-])["']?([A-Za-z][\w.-]*)["']?\s*(?:=|:)\s*(?:[\w./*]+\()?)(\(masked\)|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\x60[^\x60]*\x60|[^\s,;&"'(){}\[\]]+)()`), nil},
}

func init() {
	last := &patterns[len(patterns)-1]
	last.is = func(parts []string) bool {
		value := strings.Trim(parts[3], "\"'`")
		return Name(parts[2]) && value != "" && !plainWord(value)
	}
}

// plainWord tells values that are no secret whatever they are called.
func plainWord(value string) bool {
	switch strings.ToLower(value) {
	case "true", "false", "nil", "null", "none", "<nil>", "yes", "no", "on", "off", "string", "int", "bool", "error":
		return true
	}
	return false
}

// random tells whether a value looks like a key of no known form: long, and made of letters and digits as chance mixes them.
func random(value string) bool {
	for _, run := range strings.FieldsFunc(value, func(r rune) bool { return !isBase64(r) }) {
		if randomRun(run) {
			return true
		}
		for _, part := range strings.FieldsFunc(run, func(r rune) bool { return r == '-' || r == '_' || r == '/' || r == '+' }) {
			if randomRun(part) {
				return true
			}
		}
	}
	return false
}

func isBase64(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '+' || r == '/' || r == '_' || r == '-' || r == '='
}

// Lengths from which letters and digits that mix as by chance are taken for a key: of hexadecimal digits 128 bits, of others 100 and more.
const (
	leastHex    = 32
	leastBase64 = 20
)

// randomRun judges letters and digits without a separator: as many bits of entropy as chance gives a text of that length and alphabet, with
// some allowance. Words of languages and identifiers have less, and few digits.
func randomRun(run string) bool {
	run = strings.TrimRight(run, "=")
	if len(run) < leastBase64 {
		return false
	}
	var counts [128]int
	upper, lower, digits, others, hex, changes := 0, 0, 0, 0, true, 0
	class := func(c byte) int {
		switch {
		case c >= '0' && c <= '9':
			return 0
		case c >= 'a' && c <= 'z':
			return 1
		case c >= 'A' && c <= 'Z':
			return 2
		}
		return 3
	}
	for i := range len(run) {
		c := run[i]
		counts[c&127]++
		switch class(c) {
		case 0:
			digits++
		case 1:
			lower++
			hex = hex && c <= 'f'
		case 2:
			upper++
			hex = hex && c <= 'F'
		default:
			others++
			hex = false
		}
		if i > 0 && class(c) != class(run[i-1]) {
			changes++
		}
	}
	bits := 0.0
	for _, n := range counts {
		if n > 0 {
			p := float64(n) / float64(len(run))
			bits -= p * math.Log2(p)
		}
	}
	if hex {
		return len(run) >= leastHex && digits >= 3 && lower+upper >= 3 && bits > 3
	}
	mixed := upper > 0 && lower > 0
	if others > len(run)/8 || lower+upper < 2 || digits < 2 && !(mixed && 5*changes > 2*len(run)) {
		return false
	}
	if mixed {
		return bits > 0.82*math.Log2(float64(min(len(run), 62))) && changes >= len(run)/4
	}
	return len(run) >= 24 && bits > 0.8*math.Log2(float64(min(len(run), 36))) && changes >= len(run)/5
}

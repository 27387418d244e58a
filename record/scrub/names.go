package scrub

import (
	"bytes"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"ri/secrets"
)

// begin finds out what a stream speaks by its first bytes.
func (x *Stream) begin() {
	if x.begun || len(x.buf) < 8 || len(x.buf) < 12 && x.client && x.buf[0] == berSequence {
		return
	}
	x.begun = true
	if x.client && !x.inner {
		x.kind = loginProtocol(x.buf)
	}
	if x.client && startup(x.buf) {
		x.kind = postgres
		if x.pair != nil && !x.pair.begun {
			x.pair.kind, x.pair.begun = postgres, true
		}
	}
}

// names finds values of secrets by their names in b[:limit], and replaces them. It gives up to where all is decided,
// and the value that goes on there if its end isn't known.
func (x *Stream) names(b []byte, limit int, end bool) (int, value) {
	line, first := 0, false // where the line begins; whether a name does
	if x.before != 0 && x.before != '\n' {
		line = -1
	}
	if line == 0 {
		if to, ok := x.command(b, 0, end); !ok {
			return 0, value{}
		} else if to > 0 {
			line = -1
		}
	}
	for i := 0; i < limit; i++ {
		from, field := -1, ""
		at := i + 1 // where the value begins
		switch c := b[i]; c {
		case '\n':
			line = i + 1
			if line < limit {
				if _, ok := x.command(b, line, end); !ok {
					return line, value{}
				}
			}
			continue
		case ':', '=':
			if from, field, first = x.nameBefore(b, i); from < 0 {
				if !x.form(b, i, end) {
					return max(x.floor, nameStart(b[:i])), value{}
				}
			}
		case 'P', 0:
			if whole := x.sasl(b, i, end); !whole {
				return max(x.floor, i), value{}
			}
			continue
		case '%': // in a query that stands in another one
			if len(b) > i+2 && b[i+1] == '3' && b[i+2]|0x20 == 'd' {
				from, field, first = x.nameBefore(b, i)
				at = i + 3
			}
		case '\'':
			from, field = x.sqlBefore(b[:i])
			at = i
		case '$':
			if line == i {
				var more bool
				from, at, field, more = x.bulk(b, i)
				if more && !end {
					return i, value{}
				}
			}
		case '-':
			if bytes.HasPrefix(b[i:], []byte("-----BEGIN ")) {
				if !end && len(b)-i < 80 && !bytes.Contains(b[i+11:], []byte("-----")) && bytes.IndexByte(b[i:], '\n') < 0 {
					return i, value{}
				}
				from, at, field = key(b, i)
			} else if !end && len(b)-i < 64 && bytes.HasPrefix([]byte("-----BEGIN "), b[i:]) {
				return i, value{}
			}
		}
		if from < 0 {
			continue
		}
		start, v := valueAt(b, at, field, b[i], first)
		if v.until == notYet {
			if !end {
				return from, value{}
			}
			return len(b), v
		}
		if v.until == nowhere {
			continue
		}
		n, ends := v.end(b[start:])
		if !ends && !end && n < mostValue {
			return from, value{}
		}
		if !ends && !end {
			x.value = v
			x.replacePart(field, b[start:start+n])
			x.floor = start + n
			return start + n, v
		}
		x.replaceValue(v, b[start:start+n])
		x.floor, x.named = start+n, ""
		if !ends {
			return len(b), v
		}
		i = start + n - 1
		if v.until == atQuote {
			i++
		}
	}
	return limit, value{}
}

// nameBefore is the name that ends at i, before a colon or an equals sign, if it is a secret's: where it begins,
// itself, and whether it is the first in its line.
func (x *Stream) nameBefore(b []byte, i int) (from int, field string, first bool) {
	all, base := b[:i], 0
	if i <= mostName && len(x.tail) > 0 { // it may have begun before
		all, base = append(bytes.Clone(x.tail), all...), len(x.tail)
	}
	end := len(all)
	for end > 0 && len(all)-end < 4 && bytes.IndexByte([]byte(" \"'\\"), all[end-1]) >= 0 {
		end--
	}
	from = end
	for from > 0 && end-from <= mostName && wordChar(all[from-1]) {
		from--
	}
	if from >= 1 && all[from-1] == '%' && end-from > 2 { // %3Fname, %26name
		from += 2
	}
	name := all[from:end]
	if x.named != "" && bytes.EqualFold(name, []byte("value")) {
		return max(from-base, 0), x.named, false
	}
	if len(name) == 0 || !x.s.secretName(name) {
		return -1, "", false
	}
	first = from > 0 && all[from-1] == '\n' || from == 0 && x.decided == int64(base)
	return max(from-base, 0), string(name), first
}

// nameStart is where the name before a separator begins.
func nameStart(b []byte) int {
	i := len(b)
	for i > 0 && len(b)-i <= mostName && (wordChar(b[i-1]) || bytes.IndexByte([]byte(" \"'\\"), b[i-1]) >= 0) {
		i--
	}
	return i
}

// form looks for what says of the value that follows how it is called: {"name": "password", "value": "..."}, and parts
// of a form, name="password". False if that isn't whole yet.
func (x *Stream) form(b []byte, i int, end bool) bool {
	before := bytes.TrimRight(b[max(0, i-8):i], "\"' ")
	if !bytes.HasSuffix(before, []byte("name")) || len(before) > 4 && wordChar(before[len(before)-5]) {
		return true
	}
	at := i + 1
	for at < len(b) && b[at] == ' ' {
		at++
	}
	if at >= len(b) {
		return end
	}
	if b[at] != '"' {
		return true
	}
	n := bytes.IndexByte(b[at+1:min(len(b), at+2+mostName)], '"')
	if n < 0 {
		return end || len(b) > at+2+mostName
	}
	if name := b[at+1 : at+1+n]; x.s.secretName(name) {
		if x.named = string(name); b[i] == '=' {
			return x.part(b, at+n+2, end)
		}
	}
	return true
}

// part replaces the value of a part of a form whose name ends at at: it begins behind an empty line.
func (x *Stream) part(b []byte, at int, end bool) bool {
	field := x.named
	head := bytes.Index(b[at:min(len(b), at+512)], []byte("\r\n\r\n"))
	if head < 0 {
		if x.named = ""; len(b) >= at+512 || end {
			return true
		}
		return false
	}
	at += head + 4
	n, ends := value{until: atBoundary}.end(b[at:])
	if x.named = ""; !ends && !end && n < mostValue {
		return false
	}
	x.s.replace(field, b[at:at+n])
	x.floor = at + n
	return true
}

// sqlBefore is what stands before a quote in SQL: PASSWORD 'x', IDENTIFIED BY 'x'.
func (x *Stream) sqlBefore(b []byte) (int, string) {
	end := len(b)
	for end > 0 && b[end-1] == ' ' {
		end--
	}
	if end == len(b) {
		return -1, ""
	}
	from := end
	for from > 0 && end-from <= mostName && wordChar(b[from-1]) {
		from--
	}
	switch word := b[from:end]; {
	case len(word) == 0:
		return -1, ""
	case bytes.EqualFold(word, []byte("by")), x.s.secretName(word):
		return from, "SQL " + string(word)
	}
	return -1, ""
}

// valueAt says where a value begins and how it ends: that behind at. A header is a name at the beginning of a line and
// a colon.
func valueAt(b []byte, at int, field string, sep byte, header bool) (int, value) {
	v := value{field: field, sep: sep, header: header}
	if sep == '-' {
		v.until = atKeyEnd
		return at, v
	}
	if sep == '$' {
		v.until = atLine
		return at, v
	}
	if sep == '%' && at < len(b) {
		if !endsWord(b[at]) {
			v.until = atEscaped
		}
		return at, v
	}
	for at < len(b) && (b[at] == ' ' || b[at] == '\t') {
		at++
	}
	if at >= len(b) {
		v.until = notYet
		return len(b), v
	}
	switch c := b[at]; {
	case c == '"' || c == '\'' || c == '`':
		v.until, v.quote = atQuote, c
		return at + 1, v
	case c == '\\' && at+1 < len(b) && b[at+1] == '"': // JSON in JSON
		v.until, v.quote = atSpace, '"'
		return at + 2, v
	case c == '\\' && at+1 >= len(b):
		v.until = notYet
		return at, v
	case header && sep == ':':
		v.until = atLine
		return at, v
	case c == '{' || c == '[':
		v.until = atClosing
		return at, v
	case endsWord(c):
		return at, v
	}
	v.until = atSpace
	return at, v
}

// replaceValue replaces a whole value.
func (x *Stream) replaceValue(v value, b []byte) {
	name := strings.ToLower(v.field)
	switch {
	case v.until == atKeyEnd:
		x.s.pem(v.field, b)
	case v.until == atClosing:
		x.s.inner(v.field, b)
	case v.until == atLine && (name == "cookie" || name == "set-cookie"):
		x.s.cookies(v.field, b, name == "set-cookie")
	case v.until != atQuote && plain(b), setting(string(b)):
	default:
		x.s.replace(v.field, b)
	}
}

// plain tells values that are no secret whatever they are called.
func plain(b []byte) bool {
	switch string(b) {
	case "true", "false", "null", "nil", "none":
		return true
	}
	return false
}

// setting tells values that a program can't do without and that are no secret whatever they are called: addresses, with
// a port, of this host or by number, and times (session-listen, token-ttl).
func setting(value string) bool {
	if _, err := netip.ParseAddrPort(value); err == nil {
		return true
	}
	if host, port, err := net.SplitHostPort(value); err == nil && (host == "" || host == "localhost") {
		_, err := strconv.ParseUint(port, 10, 16)
		return err == nil
	}
	_, err := time.ParseDuration(value)
	return err == nil && len(value) <= 16 && strings.HasSuffix(value, "s") || err == nil && len(value) <= 8 &&
		strings.ContainsAny(value, "mh")
}

// inner replaces texts and numbers in a list or an object, whose names stay.
func (s *Scrubber) inner(field string, b []byte) {
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			n, _ := value{until: atQuote, quote: '"'}.end(b[i+1:])
			inside := b[i+1 : i+1+n]
			i += n + 1
			rest := bytes.TrimLeft(b[min(i+1, len(b)):], " \t\r\n")
			if len(rest) == 0 || rest[0] != ':' {
				s.replace(field, inside)
			}
		case c >= '0' && c <= '9':
			n, _ := value{until: atSpace}.end(b[i:])
			s.replace(field, b[i:i+n])
			i += n - 1
		}
	}
}

// cookies replaces the values of cookies; attributes of Set-Cookie stay.
func (s *Scrubber) cookies(field string, b []byte, set bool) {
	for len(b) > 0 {
		one, rest, more := bytes.Cut(b, []byte(";"))
		if _, val, ok := bytes.Cut(one, []byte("=")); ok {
			s.replace(field, bytes.Trim(val, `"`))
		}
		if b = rest; set || !more {
			return
		}
	}
}

// pem replaces the lines of a private key.
func (s *Scrubber) pem(field string, b []byte) {
	for len(b) > 0 {
		n := bytes.IndexAny(b, "\r\n\\")
		if n < 0 {
			n = len(b)
		}
		if n > 2 {
			copy(b[:n], s.make(b[:n]))
		}
		b = b[min(n+1, len(b)):]
	}
}

// key finds a private key that begins at i.
func key(b []byte, i int) (from, at int, field string) {
	line := b[i:min(len(b), i+80)]
	n := bytes.Index(line, []byte("PRIVATE KEY"))
	if n < 0 {
		return -1, 0, ""
	}
	dashes := bytes.Index(line[n:], []byte("-----"))
	if dashes < 0 {
		return -1, 0, ""
	}
	return i, i + n + dashes + 5, "private key"
}

// forms replaces keys of known forms in b[:limit].
func (x *Stream) forms(b []byte, limit int) {
	for _, span := range secrets.Spans(b[:limit]) {
		found := b[span[0]:span[1]]
		if !bytes.HasPrefix(found, []byte("-----BEGIN")) && !x.s.given(found) { // keys in PEM have been seen to
			x.s.replace("a key of a known form", b[span[0]:span[1]])
		}
	}
}

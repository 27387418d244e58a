package scrub

import (
	"bytes"
	"strconv"
	"strings"
)

// bulk is a text of RESP at i, "$6\r\nsecret\r\n": if it is a secret's name, the next text is a secret. more tells that
// it isn't whole.
func (x *Stream) bulk(b []byte, i int) (from, at int, field string, more bool) {
	name, next, ok := bulkText(b[i:])
	if !ok {
		return -1, 0, "", next < 0
	}
	at = i + next
	upper := strings.ToUpper(string(name))
	if upper != "AUTH" && !x.s.secretName(name) {
		return -1, 0, "", false
	}
	value, after, ok := bulkText(b[at:])
	if !ok {
		return -1, 0, "", after < 0
	}
	if upper == "AUTH" && !bytes.HasSuffix(b[:i], []byte("*2\r\n")) { // AUTH user password
		second, _, ok := bulkText(b[at+after:])
		if ok {
			value, at = second, at+after
		} else if len(b)-at-after < mostValue && (len(b) == at+after || b[at+after] == '$') {
			return -1, 0, "", true
		}
	}
	head := bytes.IndexByte(b[at:], '\n') + 1
	x.s.replace("RESP "+upper, b[at+head:at+head+len(value)])
	x.floor = at + head + len(value)
	return -1, 0, "", false
}

// bulkText reads a text of RESP. next is where the one after it begins; below 0 it isn't whole.
func bulkText(b []byte) (text []byte, next int, ok bool) {
	if len(b) == 0 {
		return nil, -1, false
	}
	if b[0] != '$' {
		return nil, 0, false
	}
	head := bytes.Index(b[:min(len(b), 24)], []byte("\r\n"))
	if head < 0 {
		if len(b) < 24 && digits(b[1:]) {
			return nil, -1, false
		}
		return nil, 0, false
	}
	n, err := strconv.Atoi(string(b[1:head]))
	if err != nil || n < 0 || n > mostValue {
		return nil, 0, false
	}
	if len(b) < head+2+n+2 {
		return nil, -1, false
	}
	if string(b[head+2+n:head+4+n]) != "\r\n" {
		return nil, 0, false
	}
	return b[head+2 : head+2+n], head + 4 + n, true
}

func digits(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && c != '\r' {
			return false
		}
	}
	return true
}

// commands of text protocols that a password follows: POP3, FTP, IRC (PASS), SMTP, RESP (AUTH), IMAP (LOGIN), IRC
// (OPER, IDENTIFY).
var commands = []string{"PASS", "AUTH", "LOGIN", "OPER", "IDENTIFY", "PASSWORD", "AUTHENTICATE"}

// mechanisms follow AUTH and are no secret. What is sent for LOGIN follows in two lines, for the others in one.
var mechanisms = map[string]int{"PLAIN": 1, "LOGIN": 2, "CRAM-MD5": 1, "XOAUTH2": 1, "OAUTHBEARER": 1,
	"SCRAM-SHA-1": 2, "SCRAM-SHA-256": 2, "EXTERNAL": 0, "TLS": 0}

// command looks at a line that begins at i: false if it isn't whole and may be one with a password. It gives up to
// where it replaced something.
func (x *Stream) command(b []byte, i int, end bool) (int, bool) {
	if !x.client {
		return 0, true
	}
	n := bytes.IndexAny(b[i:], "\r\n")
	whole := n >= 0
	if !whole {
		n = len(b) - i
	}
	line := b[i : i+n]
	if x.lines > 0 && (whole || end) {
		x.lines--
		if len(line) > 1 {
			x.s.replace("AUTH", line)
			x.floor = i + n
		}
		return i + n, true
	}
	if n > 4096 {
		return 0, true
	}
	words := bytes.Fields(line[:min(n, 256)])
	if len(words) == 0 {
		return 0, whole || end || n > 8 || x.lines == 0
	}
	which := 0
	if len(words) > 1 && isCommand(words[1]) && !isCommand(words[0]) && len(words[0]) <= 8 { // IMAP: a tag goes before
		which = 1
	}
	if !isCommand(words[which]) {
		return 0, whole || end || !mayBeCommand(words, line)
	}
	if !whole && !end {
		return 0, false
	}
	args := words[which+1:]
	if len(args) > 0 {
		if more, ok := mechanisms[strings.ToUpper(string(args[0]))]; ok {
			if args = args[1:]; len(args) == 0 {
				x.lines = more
			}
		}
	}
	if len(args) == 2 { // user and password
		args = args[1:]
	}
	for _, arg := range args {
		if arg = bytes.Trim(arg, `"`); len(arg) > 0 && !bytes.HasPrefix(arg, []byte("{")) {
			x.s.replace(strings.ToUpper(string(words[which])), arg)
			x.floor = i + n
		}
	}
	return i + n, true
}

func isCommand(word []byte) bool {
	for _, c := range commands {
		if strings.EqualFold(c, string(word)) {
			return true
		}
	}
	return false
}

// mayBeCommand tells whether a line that isn't whole may become one with a password.
func mayBeCommand(words [][]byte, line []byte) bool {
	if len(words) > 2 || len(words) == 2 && line[len(line)-1] == ' ' {
		return false
	}
	last := words[len(words)-1]
	for _, c := range commands {
		if len(last) < len(c) && strings.EqualFold(c[:len(last)], string(last)) {
			return true
		}
	}
	return len(words) == 1 && len(last) <= 8 && line[len(line)-1] == ' '
}

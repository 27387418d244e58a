// Package inert makes text of elsewhere fit to be shown: what a target holds, what files, catalogues and other users
// call things. A terminal obeys control characters; characters that turn the direction of writing make a reader see
// what isn't there. Here they become what Go writes in a string in their place.
//
// This is the one place that decides what is harmless. Cells and lines are made inert where they are laid out, since
// their widths change by it; all that is printed goes through a [Writer] on its way out, so that what was forgotten
// there is harmless too.
//
// What may not come in: knowledge of what the text is about. See package secrets for what nobody may see.
package inert

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Cell is text on one line without tabs: a table's cell, a name, a word.
func Cell(s string) string { return escape(s, "", nil) }

// Line is text on one line; its tabs stay.
func Line(s string) string { return escape(s, "\t", nil) }

// Text is text of several lines; its tabs stay.
func Text(s string) string { return escape(s, "\t\n", nil) }

// Styled is Text in which ri's own colours stay.
func Styled(s string) string { return escape(s, "\t\n", colourAt) }

// Is says whether text is inert as it is, on one line and without tabs.
func Is(s string) bool {
	for _, r := range s {
		if !plain(r) {
			return false
		}
	}
	return true
}

// plain says of a character whether it is only seen: no control character, none that turns the direction of writing, no
// space but " ", nothing that isn't UTF-8.
func plain(r rune) bool { return r != utf8.RuneError && strconv.IsPrint(r) }

// colours are the sequences that ri itself writes: as github.com/jedib0t/go-pretty writes bold, red, yellow and cyan.
var colours = []string{"\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[33m", "\x1b[36m"}

func escape(s, stay string, style func(string) string) string {
	at := 0
	for at < len(s) {
		r, size := utf8.DecodeRuneInString(s[at:])
		if !plain(r) {
			break
		}
		at += size
	}
	if at == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:at])
	for at < len(s) {
		r, size := utf8.DecodeRuneInString(s[at:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[at])
		case r == utf8.RuneError || plain(r) || strings.ContainsRune(stay, r):
			b.WriteRune(r)
		default:
			if style != nil {
				if colour := style(s[at:]); colour != "" {
					b.WriteString(colour)
					size = len(colour)
					break
				}
			}
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		at += size
	}
	return b.String()
}

func colourAt(s string) string {
	for _, c := range colours {
		if strings.HasPrefix(s, c) {
			return c
		}
	}
	return ""
}

// anyColourAt gives the sequence that a text begins with, if it makes text bold, gives it one of a terminal's sixteen
// colours, or ends that.
func anyColourAt(s string) string {
	digits, ok := strings.CutPrefix(s, "\x1b[")
	if !ok {
		return ""
	}
	digits, _, ok = strings.Cut(digits[:min(len(digits), len("97m"))], "m")
	n, err := strconv.ParseUint(digits, 10, 8)
	if !ok || err != nil || n > 1 && n < 30 || n > 37 && n < 90 || n > 97 {
		return ""
	}
	return s[:len("\x1b[")+len(digits)+len("m")]
}

// AppendJSON appends a string as JSON: the same text to who parses it, and inert to who prints it. What isn't UTF-8
// becomes U+FFFD.
func AppendJSON(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case plain(r) || r == utf8.RuneError:
			b = utf8.AppendRune(b, r)
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r > 0xffff:
			r -= 0x10000
			b = fmt.Appendf(b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return append(b, '"')
}

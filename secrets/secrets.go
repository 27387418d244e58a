// Package secrets tells what nobody may see: by what a value is called, and by what it looks like. Everything that
// leaves the place where it was read asks here: settings, the report, recordings, traces. There is one list of names,
// and one of patterns.
//
// It errs on the side of masking. A setting that is hidden although it was harmless costs a question; one that is shown
// can't be taken back.
//
// What may not come in: knowledge of where texts come from, and how they are shown. See package inert for what a
// terminal may see.
package secrets

import (
	"regexp"
	"strings"
)

// Masked stands where a secret was.
const Masked = "(masked)"

// Value gives what may be shown of a value that has a name: nothing if the name or the value is a secret's, else what
// [Text] gives. n counts what was masked.
func Value(name, value string) (shown string, n int) {
	switch {
	case value == "" || value == Masked:
		return value, 0
	case Name(name) || !fingerprint(name) && random(value):
		return Masked, 1
	}
	return Text(value)
}

// Text gives what may be shown of a text: keys of known forms, passwords in URLs, and what follows the name of a secret
// (password=, "token":, Authorization:) are masked. n counts them.
func Text(text string) (shown string, n int) {
	if !worthALook(text) {
		return text, 0
	}
	for _, p := range patterns {
		if !p.may(text) {
			continue
		}
		text = p.form.ReplaceAllStringFunc(text, func(found string) string {
			parts := p.form.FindStringSubmatch(found)
			before, after := parts[1], parts[len(parts)-1]
			if found[len(before):len(found)-len(after)] == Masked || p.is != nil && !p.is(parts) {
				return found
			}
			n++
			return before + Masked + after
		})
	}
	return text, n
}

// worthALook tells texts that can hold no secret: those without a character that every form has.
func worthALook(text string) bool {
	return len(text) >= 8 && strings.ContainsAny(text, "=:-_./ 0123456789")
}

// Arguments gives what may be shown of a command line: -token=x and what follows -token are masked, and of each
// argument what [Text] masks.
func Arguments(args []string) (shown []string, n int) {
	follows := false
	for i, arg := range args {
		text, masked := arg, 0
		flag := argument.FindStringSubmatch(arg)
		switch {
		case follows && flag == nil:
			text, masked = Masked, 1
			if arg == "" {
				text, masked = "", 0
			}
		case flag != nil && flag[2] != "": // with its value
			text, masked = Value(flag[1], flag[2][1:])
			text = arg[:len(arg)-len(flag[2])+1] + text
		case i > 0 && flag == nil && random(arg):
			text, masked = Masked, 1
		default:
			text, masked = Text(arg)
		}
		follows = flag != nil && flag[2] == "" && Name(flag[1])
		shown, n = append(shown, text), n+masked
	}
	return shown, n
}

// argument is a flag, with or without its value.
var argument = regexp.MustCompile(`(?s)^--?([A-Za-z][\w.-]*)(=.*)?$`)

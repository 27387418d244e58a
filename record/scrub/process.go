package scrub

import (
	"bytes"
	"strings"

	"ri/secrets"
)

// Arguments gives a command line with tokens in the place of secrets: -token=x, what follows -token, and what has the
// form of one.
func (s *Scrubber) Arguments(args []string) []string {
	out, follows := make([]string, 0, len(args)), ""
	for _, arg := range args {
		flag := strings.HasPrefix(arg, "-")
		name, value, has := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch {
		case setting(arg), has && setting(value):
		case !flag && follows != "":
			arg = string(s.Token("argument -"+follows, []byte(arg)))
		case has && value != "" && s.isSecret(name, value):
			arg = arg[:len(arg)-len(value)] + string(s.Token("argument "+name, []byte(value)))
		default:
			b := []byte(arg)
			s.Bytes(b)
			arg = string(b)
		}
		if follows = ""; flag && !has && s.secretName([]byte(name)) {
			follows = name
		}
		out = append(out, arg)
	}
	return out
}

// Environment gives variables, NAME=VALUE, with tokens in the place of secrets.
func (s *Scrubber) Environment(env []string) []string {
	out := make([]string, 0, len(env))
	for _, one := range env {
		name, value, _ := strings.Cut(one, "=")
		b := []byte(value)
		if s.isSecret(name, value) {
			b = s.Token("variable "+name, b)
		} else {
			s.Bytes(b)
		}
		out = append(out, name+"="+string(b))
	}
	return out
}

func (s *Scrubber) isSecret(name, value string) bool {
	if setting(value) {
		return false
	}
	if s.Named != nil {
		if secret, said := s.Named(name); said {
			return secret
		}
	}
	shown, _ := secrets.Value(name, value)
	return shown == secrets.Masked
}

// PrivateKey tells whether a file has one.
func PrivateKey(content []byte) bool {
	at := bytes.Index(content, []byte("PRIVATE KEY"))
	return at >= 0 && bytes.Contains(content[max(0, at-40):at], []byte("-----BEGIN")) ||
		bytes.Contains(content, []byte("AGE-SECRET-KEY-1"))
}

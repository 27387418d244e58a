package tap

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"ri/record/redact"
	"ri/values"
)

// str writes a string: in clear where it is a constant or a rule keeps it, else its token.
func (e *encoder) str(v values.Value, at spot) {
	text, full, err := v.Text(maxText)
	if err != nil {
		e.lacks(err)
		return
	}
	if full != len(text) {
		e.part("%d of %d bytes of a text were captured", len(text), full)
		return
	}
	data, _, _ := v.TextData()
	e.content([]byte(text), data, at, v.Type.Size, false)
}

// content writes a text or bytes by what may be kept of them.
func (e *encoder) content(b []byte, data uint64, at spot, size int64, bytes bool) {
	p, ok := piece(at.layout, at.off, size)
	switch {
	case len(b) == 0 && bytes:
		e.special("bytes", "")
	case len(b) == 0:
		e.out = append(e.out, `""`...)
	case !ok || p.Action == redact.Drop || p.Form != redact.Text && p.Form != redact.Bytes && p.Form != redact.Contents:
		e.miss("left out by the policy")
	case p.Action == redact.Keep:
		e.kept[fieldName(at.layout, p.Field)] = true
		e.clear(b, bytes)
	case p.Action == redact.Token && !p.Secret && e.constant(data, len(b)):
		e.clear(b, bytes)
	case p.Action == redact.Mask:
		e.replaced++
		e.special("mask", strconv.Itoa(len(b)))
	default:
		if p.Action == redact.Token && e.constant(data, len(b)) {
			e.denied[string(b)] = true
		}
		e.replaced++
		token := e.tokens.Of(b)
		if bytes || !utf8.Valid(token) {
			e.special("token64", base64.StdEncoding.EncodeToString(token))
			return
		}
		e.special("token", string(token))
	}
}

func fieldName(l *redact.Layout, field string) string {
	if field == "" {
		return l.Type.Name
	}
	return l.Type.Name + "." + field
}

// deny puts tokens in the place of constants that are denied somewhere, in a value that was written before that was
// known: equal texts stay equal.
func (e *encoder) deny(raw json.RawMessage) json.RawMessage {
	for text := range e.denied {
		quoted, err := json.Marshal(text)
		if err != nil || !bytes.Contains(raw, quoted) {
			continue
		}
		saved := e.out
		e.out = nil
		e.special("token", string(e.tokens.Of([]byte(text))))
		token := e.out
		e.out = saved
		var out []byte
		for rest := []byte(raw); ; {
			i := bytes.Index(rest, quoted)
			if i < 0 {
				raw = append(out, rest...)
				break
			}
			end := i + len(quoted)
			out = append(out, rest[:i]...)
			key := end < len(rest) && rest[end] == ':'
			ofDollar := i > 0 && rest[i-1] == ':' && specialBefore(rest[:i-1])
			inText := i > 0 && rest[i-1] == '\\'
			if key || ofDollar || inText {
				out = append(out, quoted...)
			} else {
				out = append(out, token...)
			}
			rest = rest[end:]
		}
	}
	return raw
}

// specialBefore tells whether a key with a dollar ends a text.
func specialBefore(b []byte) bool {
	if len(b) == 0 || b[len(b)-1] != '"' {
		return false
	}
	open := bytes.LastIndexByte(b[:len(b)-1], '"')
	return open >= 0 && open+1 < len(b) && b[open+1] == '$'
}

// clear writes a text or bytes as they are.
func (e *encoder) clear(b []byte, bytes bool) {
	switch {
	case bytes:
		e.special("bytes", base64.StdEncoding.EncodeToString(b))
	case utf8.Valid(b):
		e.text(string(b))
	default:
		e.special("text64", base64.StdEncoding.EncodeToString(b))
	}
}

// function writes the name of a function whose calls are recorded.
func (e *encoder) function(v values.Value) {
	if null, err := v.IsNil(); err != nil || null {
		e.nothing(err)
		return
	}
	f, err := v.Func()
	switch {
	case err != nil:
		e.lacks(err)
		return
	case e.callbacks[f.Line.Func]:
		e.special("func", f.Line.Func)
		return
	}
	e.miss("a function of which no calls are recorded")
}

package record

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"ri/record/calls"
)

// CheckCalls looks through a recording of calls as Check does through one of state: at each text that is in clear, by
// the function and the parameter, result or field that it stands in.
//
// Errors: those of package calls.
func CheckCalls(r *calls.Reader, words []string, all bool) (*Audit, error) {
	c := callsAudit{audit: &Audit{}, words: words, all: all, kept: map[string]*KeptTexts{}}
	c.look("the header", mustJSON(r.Header), nil)
	for i, s := range r.Header.State {
		c.look(fmt.Sprintf("state %d", i+1), nil, []named{{s.Type, s.Value}})
	}
	names := namesOf(&r.Header.Boundary)
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		var list []named
		for i, v := range e.Values {
			list = append(list, named{names.of(e, i), v})
		}
		c.look(fmt.Sprintf("event %d", e.Seq), []byte(e.Ended), list)
	}
	for _, field := range slices.Sorted(maps.Keys(c.kept)) {
		c.audit.Kept = append(c.audit.Kept, *c.kept[field])
	}
	c.audit.close()
	return c.audit, nil
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // it was read from JSON
		return nil
	}
	return b
}

// named is a value and what it is to its function.
type named struct {
	name  string
	value json.RawMessage
}

// callNames are the names of functions' parameters and results.
type callNames map[string]*calls.Func

func namesOf(b *calls.Boundary) callNames {
	out := callNames{}
	for _, list := range [][]calls.Func{b.In, b.Out} {
		for i := range list {
			out[list[i].Name] = &list[i]
		}
	}
	return out
}

func (n callNames) of(e *calls.Event, i int) string {
	if f := n[e.Func]; f != nil {
		list := f.Results
		if e.Kind == calls.Call {
			list = f.Params
			if f.Receiver && len(list) > 0 {
				list = list[1:]
			}
		}
		if i < len(list) && list[i].Name != "" {
			return e.Func + "." + list[i].Name
		}
	}
	return fmt.Sprintf("%s.%s %d", e.Func, e.Kind, i)
}

type callsAudit struct {
	audit   *Audit
	words   []string
	all     bool
	kept    map[string]*KeptTexts
	sampled int
}

// look looks at what stands at one place of the file.
func (c *callsAudit) look(where string, raw []byte, values []named) {
	c.search(where, raw, false)
	for _, v := range values {
		c.search(where, v.value, false)
		var decoded any
		if json.Unmarshal(v.value, &decoded) == nil {
			c.value(where, v.name, decoded)
		}
	}
}

func (c *callsAudit) search(where string, data []byte, patterns bool) {
	s := searcher{audit: c.audit, block: where, words: c.words, patterns: patterns}
	s.search(data)
	c.audit.Read += int64(len(data))
}

// value goes through a value's texts.
func (c *callsAudit) value(where, field string, v any) {
	switch v := v.(type) {
	case string:
		c.text(where, field, v)
	case []any:
		for _, part := range v {
			c.value(where, field, part)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			c.member(where, field, key, v[key])
		}
	}
}

// member goes through one member of an object: what says in other ways what a value is, or was, has no text in clear.
func (c *callsAudit) member(where, field, key string, v any) {
	text, isText := v.(string)
	switch key {
	case "$missing", "$ref", "$type", "$var", "$time", "$float", "$mask", "$token", "$chan", "$on":
		return
	case "$token64":
		return
	case "$bytes", "$text64":
		if b, err := base64.StdEncoding.DecodeString(text); isText && err == nil {
			c.text(where, field, string(b))
		}
		return
	case "$map", "$complex", "value":
		c.value(where, field, v)
		return
	}
	c.value(where, field+"."+key, v)
}

// text is one that is in clear.
func (c *callsAudit) text(where, field, text string) {
	k := c.kept[field]
	if k == nil {
		k = &KeptTexts{Field: field}
		c.kept[field] = k
	}
	k.Count++
	k.Bytes += int64(len(text))
	if (c.all || len(k.Samples) < maxSamples) && c.sampled < maxSampled && !slices.Contains(k.Samples, text) {
		k.Samples = append(k.Samples, text)
		c.sampled += len(text)
	}
	c.search(where, []byte(text), true)
}

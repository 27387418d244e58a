package redact

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ri/symbols"
	"ri/symbols/testprogram"
)

func open(t *testing.T) *symbols.File {
	t.Helper()
	path := testprogram.Build(t, filepath.Join("testdata", "types"), testprogram.Variant{Name: "default"})
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	f, err := symbols.Open(r, "types")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// said gives "field form action" of each piece, those of arrays' elements behind their field.
func said(l *Layout) map[string]string {
	out := map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSpace(l.String()), "\n") {
		_, rest, _ := strings.Cut(line, ": ")
		field, what, _ := strings.Cut(rest, " ")
		out[field] = what
	}
	return out
}

// TestLayoutOfElements: what is denied of a slice of numbers is all of its elements.
func TestLayoutOfElements(t *testing.T) {
	f := open(t)
	for _, name := range []string{"main.order", "main.keys"} {
		typ, err := f.Type(name)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, p := range new(Policy).Of(typ, "").Pieces {
			for _, field := range typ.Fields() {
				if p.Form != Slice || p.Field != field.Name || field.Type.Elem() == nil || p.Action != Drop {
					continue
				}
				if found = true; p.Unit != field.Type.Elem().Size {
					t.Errorf("%s.%s: elements of %d bytes, want %d", name, p.Field, p.Unit, field.Type.Elem().Size)
				}
			}
		}
		if !found {
			t.Errorf("%s has no slice of numbers", name)
		}
	}
}

func TestLayout(t *testing.T) {
	f := open(t)
	for _, x := range []struct {
		typ   string
		rules string
		want  map[string]string
	}{
		{"main.order", "", map[string]string{
			"ID": "plain keep", "Customer": "text token", "Note": "bytes token", "Digest": "contents token",
			"Amounts": "slice drop", "Limits": "plain drop", "Paid": "plain keep", "Weight": "plain keep",
			"State": "plain keep", "At.wall": "plain keep", "At.loc": "plain keep", "Next": "plain keep",
			"Tags": "plain keep", "Any": "plain keep",
			"Lines": "3 x {0+16: Lines.SKU text token; 16+4: Lines.Count plain keep; 20+1: Lines.Flag plain keep; " +
				"21+3:  padding keep}",
		}},
		// A name is a secret's: texts are tokens as ever, numbers go, pointers stay, bools say little.
		{"main.account", "", map[string]string{
			"Name": "text token", "userPassword": "text token", "PIN": "plain drop", "hasToken": "plain keep",
			"Session.ID": "text token", "Session.Hits": "plain drop", "Session.Peer": "plain keep",
			"limits.max": "plain keep",
		}},
		// Packages of keys, and what isn't a struct there.
		{"main.keys", "", map[string]string{
			"block": "plain keep", "n": "plain keep", "words": "plain drop", "runes": "slice drop", "one": "plain keep",
			"cells": "slice drop", "grid.letter": "plain drop", "peer.addr": "plain drop", "matrix": "slice drop",
		}},
		// What is in pieces: ids in two numbers, lists of letters, sums.
		{"main.pieces", "", map[string]string{
			"trace.hi": "plain drop", "trace.lo": "plain drop", "quad.A": "plain drop", "quad.D": "plain drop",
			"node.first": "plain drop", "node.rest": "plain drop", "k0": "plain drop", "k1": "plain drop",
			"x": "plain keep", "y": "plain keep", "p95": "plain keep", "p99": "plain keep", "low": "plain keep",
			"high": "plain keep", "ref": "plain drop", "hash": "plain drop", "shards.v": "plain drop",
			"hits.v": "plain keep", "at.wall": "plain keep", "edge.c": "plain drop", "edge.next": "plain keep",
			"numbers.v": "plain drop", "numbers.next": "plain keep", "counted.n": "plain keep",
		}},
		{"main.pieces", "numbers", map[string]string{"hits.v": "plain drop", "at.wall": "plain drop"}},
		{"main.pieces", "- keep: {type: main.uuid}\n- keep: {field: k0}", map[string]string{
			"trace.hi": "plain keep", "k0": "plain keep", "k1": "plain drop",
		}},
		// The first rule counts; a parent's rule doesn't keep what has a secret's name, its own does.
		{"main.account", "- keep: {type: main.account}", map[string]string{
			"Name": "text keep", "userPassword": "text token", "PIN": "plain drop", "Session.ID": "text token",
			"limits.max": "plain keep",
		}},
		{"main.account", "- keep: {field: PIN}\n- drop: {type: main.limits}\n- drop: {field: limits.max}", map[string]string{
			"PIN": "plain keep", "limits.max": "plain drop", "limits.used": "plain drop", "Name": "text token",
		}},
		{"main.order", "- mask: {package: main, field: Customer}\n- keep: {package: main}", map[string]string{
			"Customer": "text mask", "Note": "bytes keep", "Digest": "contents keep", "Limits": "plain keep",
			"Amounts": "slice keep",
		}},
	} {
		p := &Policy{}
		switch x.rules {
		case "":
		case "numbers":
			p.DenyNumbers = true
		default:
			var err error
			if p, err = ReadPolicy(strings.NewReader(x.rules), "test"); err != nil {
				t.Fatal(err)
			}
		}
		typ, err := f.Type(x.typ)
		if err != nil {
			t.Fatal(err)
		}
		l := p.Of(typ, "")
		got := said(l)
		for field, want := range x.want {
			if got[field] != want {
				t.Errorf("%s, rules %q: %s is %q, want %q", x.typ, x.rules, field, got[field], want)
			}
		}
		end := int64(0)
		for _, piece := range l.Pieces {
			if piece.Offset < end || piece.Size <= 0 {
				t.Errorf("%s: piece %+v overlaps", x.typ, piece)
			}
			if end = piece.Offset + piece.Size*max(piece.Count, 1); end > typ.Size {
				t.Errorf("%s: piece %+v ends behind %d", x.typ, piece, typ.Size)
			}
		}
	}
}

// TestElements holds that what a letter may be written with is denied wherever nothing says that it is a number of its
// own, and all of it.
func TestElements(t *testing.T) {
	f := open(t)
	for name, want := range map[string]Action{"uint8": Drop, "int32": Drop, "uint16": Drop, "main.cell": Drop,
		"bool": Keep, "int": Keep,
		"float64": Keep} {
		typ, err := f.Type(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := (&Policy{}).Of(typ, "").Pieces[0].Action; got != want {
			t.Errorf("%s by itself: %s, want %s", name, got, want)
		}
	}
	typ, err := f.Type("main.keys")
	if err != nil {
		t.Fatal(err)
	}
	units := map[string]int64{}
	for _, p := range (&Policy{}).Of(typ, "").Pieces {
		units[p.Field] = p.Unit
	}
	if units["runes"] != 4 || units["cells"] != 4 || units["matrix"] != 8 {
		t.Errorf("elements of slices have %v bytes", units)
	}
}

func TestVariables(t *testing.T) {
	f := open(t)
	number, err := f.Type("int")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		variable string
		policy   Policy
		want     Action
	}{
		{"main.counter", Policy{}, Keep},
		{"main.apiToken", Policy{}, Drop},
		{"main.apiToken", Policy{Rules: []Rule{{Action: Keep, Package: "main"}}}, Drop},
		{"main.apiToken", Policy{Rules: []Rule{{Action: Keep, Variable: "main.apiToken"}}}, Keep},
		{"main.counter", Policy{DenyNumbers: true}, Drop},
		{"runtime.gomaxprocs", Policy{DenyNumbers: true}, Keep},
		{"runtime.gomaxprocs", Policy{DenyNumbers: true, Rules: []Rule{{Action: Drop, Variable: "runtime.*"}}}, Drop},
		{"example.com/runtime.gomaxprocs", Policy{DenyNumbers: true}, Drop},
	} {
		if got := x.policy.Of(number, x.variable).Pieces[0].Action; got != x.want {
			t.Errorf("%s with %+v: %s, want %s", x.variable, x.policy, got, x.want)
		}
	}
}

func TestPolicyErrors(t *testing.T) {
	for text, want := range map[string]string{
		"keep: x":                                "cannot unmarshal",
		"- hide: {type: x}":                      `"hide" is no action; they are keep, token, mask, drop`,
		"- keep: {colour: x}":                    `unknown key "colour"`,
		"- keep: {type: '[a'}":                   "pattern",
		"- keep: {}":                             "a rule names what it is of",
		"- keep: main.T":                         "a rule names what it is of",
		"- keep: {type: [a, b]}":                 "type has no text",
		"- {keep: {type: a}, drop: {type: b}}":   "has 2 keys",
		"- keep: {type: a}\n- keep: {fields: b}": "line 2",
	} {
		if _, err := ReadPolicy(strings.NewReader(text), "p.yaml"); !errors.Is(err, ErrPolicy) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestColumn(t *testing.T) {
	p, err := ReadPolicy(strings.NewReader("- keep: {recipe: nats-*}\n- keep: {column: token}\n"), "test")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		recipe, column string
		want           Action
	}{{"nats-subs", "subject", Keep}, {"nats-subs", "password", Token}, {"http", "path", Token}, {"http", "token", Keep}} {
		if got := p.Column(x.recipe, x.column); got != x.want {
			t.Errorf("%s %s: %s, want %s", x.recipe, x.column, got, x.want)
		}
	}
}

func FuzzReadPolicy(f *testing.F) {
	f.Add("- keep: {type: a.B, field: c.*}\n- drop: {package: x/y}")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := ReadPolicy(strings.NewReader(text), "p"); err == nil {
			p.rule(what{typ: "a.B", pkg: "a", field: []string{"c", "d"}})
			p.Column("r", "c")
		}
	})
}

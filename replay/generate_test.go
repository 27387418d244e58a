package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ri/record/calls"
)

const payload = `"}; func init() { panic("owned") }; var _ = []string{"`

// library is a module with a package that a recording is of.
func library(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/lib\n\ngo 1.25\n",
		"lib.go": "package lib\n\n" +
			"import \"os\"\n\nvar Args = os.Args\n\ntype Source interface{ Next(name string) (int, error) }\n\n" +
			"type T struct{ Source Source }\n\nfunc (t *T) Do(n int) int { return n }\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestGenerateOfGo: a recording can't have Go's own functions called.
func TestGenerateOfGo(t *testing.T) {
	dir := library(t)
	path := filepath.Join(dir, "x.calls")
	var out bytes.Buffer
	w, err := calls.NewWriter(&out, &calls.Header{Boundary: calls.Boundary{In: []calls.Func{{Name: "os.RemoveAll"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(calls.End{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Generate(t.Context(), path, dir); !errors.Is(err, ErrLibrary) {
		t.Errorf("it says %v", err)
	}
}

// TestGenerateHostile: whatever a recording calls things, its words don't become source.
func TestGenerateHostile(t *testing.T) {
	dir := library(t)
	path := filepath.Join(dir, "x"+strings.ReplaceAll(payload, "/", "")+".calls")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	const pkg = "example.com/lib"
	w, err := calls.NewWriter(f, &calls.Header{By: payload, Program: calls.Program{Module: payload},
		Boundary: calls.Boundary{Of: []string{payload}, In: []calls.Func{{Name: pkg + ".(*T).Do", Receiver: true},
			{Name: pkg + ".(*T)." + payload}, {Name: pkg + "." + payload}, {Name: pkg + ".(*" + payload + ").Do"},
			{Name: payload}, {Name: "os.Exit"}, {Name: "internal/poll.F"}},
			Out: []calls.Func{{Name: payload, Interface: payload}, {Name: "x.(*Y)." + payload, Interface: pkg + ".Source"},
				{Name: "x.Y.Next", Interface: pkg + "." + payload}}}})
	if err != nil {
		t.Fatal(err)
	}
	value, err := json.Marshal(map[string]any{"$type": payload, "$var": pkg + "." + payload})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []calls.Event{{Kind: calls.Call, Func: pkg + ".(*T)." + payload, Values: []json.RawMessage{value}},
		{Kind: calls.Call, Func: payload, Values: []json.RawMessage{value}}} {
		if err := w.Event(&e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(calls.End{}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	test, err := Generate(t.Context(), path, dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range test.Files {
		if _, err := parser.ParseFile(token.NewFileSet(), name, text, 0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, word := range []string{`"owned"`, "func init()", "os.Exit"} {
			if bytes.Contains(text, []byte(word)) {
				t.Errorf("%s has %q", name, word)
			}
		}
	}
	if !bytes.Contains(test.Files["ri_replay_test.go"], []byte("(*T).Do")) {
		t.Error("what the library has isn't called either")
	}
	if notes := strings.Join(test.Notes, "\n"); !strings.Contains(notes, "the library has changed") {
		t.Errorf("the notes don't say what the library doesn't have: %s", notes)
	}
}

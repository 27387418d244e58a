package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ri/attach"
	"ri/attach/recorded"
	"ri/instruments/looks"
	"ri/instruments/recipes"
	"ri/record/format"
	"ri/record/redact"
	"ri/record/seal"
)

func policy(t *testing.T, text string) *redact.Policy {
	t.Helper()
	p, err := redact.ReadPolicy(strings.NewReader(text), "rules")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// tightened redacts a recording again; all blocks of what comes are whole.
func tightened(t *testing.T, path string, opt Options) (out string, done Tightened) {
	t.Helper()
	r, err := recorded.Open(path, seal.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "r"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if done, err = Tighten(r, opt, file); err != nil {
		t.Fatal(err)
	}
	return file.Name(), done
}

// said runs Lua on a recording: what it prints, or the error.
func said(t *testing.T, path, lua string) string {
	t.Helper()
	s, err := looks.OpenSession(looks.TargetChoice{Recording: path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plan, err := looks.PrepareLua(&recipes.Catalogue{}, "", lua, nil, looks.Options{})
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.Run(context.Background(), plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Err != nil {
		return res.Err.Error()
	}
	var out []string
	for _, line := range res.Printed {
		out = append(out, line.Text)
	}
	return strings.Join(out, "\n")
}

// contains tells whether a file, or what is inflated from it, has a text.
func contains(t *testing.T, path, text string) bool {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := format.Open(bytes.NewReader(raw), int64(len(raw)), path)
	if err != nil {
		t.Fatal(err)
	}
	if problems := r.Verify(); len(problems) > 0 {
		t.Fatal(problems)
	}
	found := bytes.Contains(raw, []byte(text))
	for _, b := range r.Blocks() {
		data, err := r.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Contains(data, []byte(text))
	}
	return found
}

const nameOf0 = `print(ri.var 'main.customers'[0].Name)`

// TestTighten takes out what a second policy doesn't keep, and gives nothing back.
func TestTighten(t *testing.T) {
	const field = "{type: main.customer, field: "
	path := recordScript(t, program(t), Options{Policy: policy(t, "[keep: "+field+"Name}, keep: "+field+"Notes}]")})
	if said(t, path, nameOf0) != planted("name0") || !contains(t, path, planted("bytes")) {
		t.Fatal("the recording hasn't what is to be taken out")
	}
	for _, x := range []struct {
		name, rules string
		numbers     bool
		keeps       []string // texts that are still there
		lua, want   string
	}{
		{"what it keeps itself", "[keep: " + field + "Name}, keep: " + field + "Notes}]", false,
			[]string{"name0", "bytes"}, nameOf0, planted("name0")},
		{"one of two", "[keep: " + field + "Notes}]", false, []string{"bytes"}, nameOf0, "\u2039"},
		{"no rules", "[]", false, nil, nameOf0, "\u2039"},
		{"nothing comes back", "[keep: " + field + "Tags}, keep: " + field + "Password}]", false, nil,
			`print(ri.var 'main.customers'[0].Password)`, "\u2039"},
		{"equal where it was equal", "[]", false, nil,
			`print(ri.var 'main.customers'[1].Name == ri.var 'main.customers'[0].Next.Name)`, "true"},
		{"masked", "[mask: " + field + "Name}]", false, nil, nameOf0, "\u2039" + strings.Repeat("*", len(planted("name0")))},
		{"a token masked", "[mask: " + field + "Password}]", false, nil,
			`print(ri.var 'main.customers'[0].Password)`, "\u2039****"},
		{"dropped", "[drop: " + field + "Name}]", false, nil, nameOf0, "was not kept"},
		{"a token dropped", "[drop: " + field + "Password}]", false, nil,
			`print(ri.var 'main.customers'[0].Password)`, "was not kept"},
		{"lengths stay", "[drop: " + field + "Name}]", false, nil, `print(ri.len(ri.ref 'main.customers[0].Name'))`,
			fmt.Sprint(len(planted("name0")))},
		{"pointers stay", "[]", true, nil, `print(ri.var 'main.customers'[0].Next ~= nil)`, "true"},
	} {
		rules := policy(t, x.rules)
		rules.DenyNumbers = x.numbers
		out, done := tightened(t, path, Options{Policy: rules, Key: redact.NewKey()})
		if len(done.Unknown) > 0 || done.After.Kept > done.Before.Kept {
			t.Errorf("%s: %+v", x.name, done)
		}
		for _, shape := range []string{"name0", "name1", "bytes", "password0", "tag0"} {
			kept := false
			for _, k := range x.keeps {
				kept = kept || strings.TrimRight(k, "012") == strings.TrimRight(shape, "012")
			}
			if got := contains(t, out, planted(shape)); got != kept {
				t.Errorf("%s: %s is in the file: %v, want %v", x.name, shape, got, kept)
			}
		}
		if got := said(t, out, x.lua); !strings.Contains(got, x.want) {
			t.Errorf("%s: %s is %q, want %q", x.name, x.lua, got, x.want)
		}
		r, err := recorded.Open(out, seal.Identities{})
		if err != nil {
			t.Fatal(err)
		}
		if audit, err := Check(r.File(), r, []string{planted("name0")}, true); err != nil ||
			(len(audit.Found) > 0) != (len(x.keeps) == 2) {
			t.Errorf("%s: check %+v, %v", x.name, audit, err)
		}
		var all strings.Builder
		if err := Export(r.File(), r, &all); err != nil ||
			strings.Contains(all.String(), planted("name0")) != (len(x.keeps) == 2) {
			t.Errorf("%s: export %v", x.name, err)
		}
		r.Close()
	}
}

// TestTightenNumbers leaves single numbers out, but for the runtime's own.
func TestTightenNumbers(t *testing.T) {
	path := recordScript(t, program(t), Options{})
	const lua = `print(ri.var 'main.customers'[0].Serial)`
	if got := said(t, path, lua); got != "777" {
		t.Fatalf("the recording has %q", got)
	}
	out, _ := tightened(t, path, Options{Policy: &redact.Policy{DenyNumbers: true}})
	if got := said(t, out, lua); !strings.Contains(got, "was not kept") {
		t.Errorf("%s is %q", lua, got)
	}
	if got := said(t, out, `print(#ri.stacks() > 0)`); got != "true" {
		t.Errorf("stacks: %q", got)
	}
}

// TestTightenFirstVersion makes a file of this version of one of the first.
func TestTightenFirstVersion(t *testing.T) {
	out, _ := tightened(t, filepath.Join("testdata", "version1.rec"), Options{Policy: &redact.Policy{}})
	r, err := recorded.Open(out, seal.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.File().Version() != format.Version || r.Looks() != 2 {
		t.Errorf("version %d, %d looks", r.File().Version(), r.Looks())
	}
	if got := said(t, out, nameOf0); !strings.HasPrefix(got, "\u2039") {
		t.Errorf("%q", got)
	}
	v, err := r.View(context.Background(), attach.ViewOptions{Later: 1})
	if err != nil || len(v.Threads()) == 0 {
		t.Errorf("the second look: %v", err)
	}
}

// TestTightenCut refuses what was cut short: it can't be told what is missing.
func TestTightenCut(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "version1.rec"))
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut")
	if err := os.WriteFile(cut, data[:len(data)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := recorded.OpenFile(cut, seal.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := Tighten(r, Options{Policy: &redact.Policy{}}, nil); !errors.Is(err, format.ErrCutShort) {
		t.Error(err)
	}
}

package host

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ri/attach"
	"ri/outside"
)

// TestModules: what a script reaches outside of the process is declared, allowed, and never waited for while the
// process is held.
func TestModules(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "f"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	allowed, err := outside.Parse([]string{"file=" + folder}, nil)
	if err != nil {
		t.Fatal(err)
	}
	instrument := func(modules, body string) string {
		return `local file, http = require "file", require "http"
			return { title = "t", modules = { ` + modules + ` }, run = function() ` + body + ` end }`
	}
	for _, c := range []struct {
		script  string
		allowed *outside.Allowed
		view    attach.ViewKind
		kind    string
		want    string // of the error; "": none
	}{
		{instrument(`"file"`, `assert(file.read("f") == "text" and file.read("g") == nil and #file.list() == 1)`), allowed,
			attach.Snapshot, "process", ""},
		{instrument(`"file"`, `file.read("../f")`), allowed, attach.Snapshot, "process", "leads out of"},
		{instrument(``, `file.read("f")`), allowed, attach.Snapshot, "process", "the header doesn't say"},
		{instrument(`"file", "http"`, `http.get("http://127.0.0.1:1/")`), allowed, attach.Snapshot, "process",
			"--allow http="},
		{instrument(`"file"`, `file.read("f")`), nil, attach.Snapshot, "process", "--allow file="},
		{instrument(`"file"`, `file.read("f")`), allowed, attach.Stopped, "process", "the process is held"},
		{instrument(`"file"`, `file.read("f")`), allowed, attach.Snapshot, string(attach.Recorded), "isn't recorded"},
		{instrument(`"file"`, `file.replace({}, "f", "text", "x")`), allowed, attach.Snapshot, "process", "the transaction"},
	} {
		script, err := CompileScript("t.lua", c.script)
		if err != nil {
			t.Fatal(err)
		}
		h := New(Options{Outside: c.allowed, Target: TargetInfo{View: c.view, Kind: c.kind}})
		err = h.Run(context.Background(), script, nil)
		h.Close()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.script, err, c.want)
		}
	}
	if _, err := CompileScript("t.lua", `return { title = "t", modules = { "os" }, run = function() end }`); err == nil {
		t.Error("a module that isn't there is declared")
	}
	if text, err := os.ReadFile(filepath.Join(folder, "f")); err != nil || string(text) != "text" {
		t.Errorf("the file has %q, %v", text, err)
	}
}

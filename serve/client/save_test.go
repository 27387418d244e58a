package client

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ri/serve/request"
)

// TestSaveAsPipedIn has an agent be given no file that no line asked for, however the lines come.
func TestSaveAsPipedIn(t *testing.T) {
	dir := t.TempDir()
	o := &call{asked: &request.Request{Folder: dir}}
	o.typed.begin(o.asked)
	for _, piece := range []string{"x = 1\n:sa", "ve one.lua\n  :save  ", dir + "/two.lua \n", ":save a\n",
		":run b.lua x=1\n",
		"-- :save three.lua\n", ":save " + strings.Repeat("y", mostBegun) + ".lua\n", ":save cut.lu"} {
		if o.typed.takes([]byte(piece)) {
			t.Errorf("%q isn't sent", piece)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, path := range []string{at("three.lua"), at("b.lua"), at("cut.lua"), "/etc/x.lua", "one.lua",
		dir + "/x/../one.lua", at("one.txt")} {
		if err := o.save(path, []byte("return 1")); err == nil {
			t.Errorf("%s is made", path)
		}
	}
	if err := o.save(at("one.lua"), []byte("\xff")); err == nil {
		t.Error("what is no text is made")
	}
	for _, name := range []string{"one.lua", "two.lua"} {
		if err := o.save(at(name), []byte("return 1")); err != nil {
			t.Error(err)
		}
		if err := o.save(at(name), []byte("return 2")); err == nil || !strings.Contains(err.Error(), "there already") {
			t.Errorf("%s is made again: %v", name, err)
		}
	}
	o.typed.takes([]byte("ax\n"))
	if err := o.save(at("cut.lua"), nil); err == nil {
		t.Error("a line's beginning is a name")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("it made %v, %v", entries, err)
	}
}

// TestLoadAsPipedIn has an agent be given no script that no line names, and one with what it requires.
func TestLoadAsPipedIn(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"one.lua": `require "two"`, "two.lua": "return 1", "three.lua": "return 2",
		"secret": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := &call{asked: &request.Request{Folder: dir}}
	o.typed.begin(o.asked)
	o.typed.takes([]byte(":run ./one.lua x=1\n:run secret\n:save three.lua\n:run none.lua\n"))
	for _, name := range []string{"three.lua", "two.lua", "secret"} {
		if came, err := o.load(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is sent: %v", name, came)
		}
	}
	came, err := o.load(filepath.Join(dir, "one.lua"))
	if err != nil || len(came) != 2 || came[1].Path != filepath.Join(dir, "two.lua") {
		t.Errorf("what is sent: %v, %v", came, err)
	}
	if came, err := o.load(filepath.Join(dir, "none.lua")); err != nil || len(came) != 0 {
		t.Errorf("what isn't there: %v, %v", came, err)
	}
}

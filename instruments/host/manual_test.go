package host

import (
	"flag"
	"io/fs"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/lua.md")

const manualFile = "../../docs/lua.md"

func TestManual(t *testing.T) {
	text, err := Manual(os.DirFS("../../scripts/lua"))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(manualFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(manualFile)
	if err != nil || string(old) != text {
		t.Errorf("%s is stale (%v): go test ./instruments/host -run TestManual -update", manualFile, err)
	}
}

// The instrument that the manual shows is one.
func TestManualInstrument(t *testing.T) {
	_, rest, _ := strings.Cut(manualStart, "```lua\n")
	source, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no example in the manual")
	}
	folder := os.DirFS("../../scripts/lua")
	script, err := CompileScript("example.lua", source, folder)
	if err != nil {
		t.Fatal(err)
	}
	out := &sink{}
	h := New(Options{Space: startKinds(t), Sink: out, Folders: []fs.FS{folder}})
	defer h.Close()
	if err := h.Run(t.Context(), script, map[string]any{"limit": int64(1)}); err != nil || len(out.rows) != 39 {
		t.Error(err, len(out.rows))
	}
}

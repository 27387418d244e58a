package host

import (
	"io/fs"
	"os"
	"strings"
	"testing"
)

// The instrument that the manual shows is one.
func TestManualInstrument(t *testing.T) {
	manual, err := os.ReadFile("../../docs/lua.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(manual), "```lua\n")
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

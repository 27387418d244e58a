package lang

import (
	"flag"
	"os"
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
		t.Errorf("%s is stale (%v): go test ./instruments/lang -run TestManual -update", manualFile, err)
	}
}

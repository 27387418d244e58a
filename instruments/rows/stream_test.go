package rows

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A row that is the first to have an optional column is shown with it, whenever it comes.
func TestStreamOptional(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, err := OpenOutput("", Table, false, f, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s := out.NewStream([]Column{{Name: "id"}, {Name: "error", Optional: true}, {Name: "ended", Optional: true}})
	for _, row := range []Row{Of("id", int64(1)), Of("id", int64(2), "error", "no"), Of("id", int64(3)),
		Of("id", int64(4), "ended", "late")} {
		if err := s.Row(row); err != nil {
			t.Fatal(err)
		}
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.End(nil); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"ID", "1", "ID ERROR", "2 no", "3 -", "ID ERROR ENDED", "4 - late", ""}
	lines := strings.Split(string(text), "\n")
	for i := range lines {
		lines[i] = strings.Join(strings.Fields(lines[i]), " ")
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("%s", text)
	}
}

package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ri/ovsdb"
)

// TestCutAtEachByte: wherever a file ends, what was written whole before is there, and what comes next can be written.
// Within the schema nothing can be trusted, and the file stays as it is. Without RI_VERSIONS=all it ends at each ninth
// byte only, and at all near the end of a transaction.
func TestCutAtEachByte(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	db := openFile(t, path, schema)
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	ends := []int64{size()}
	for n := range 2 {
		transact(t, db, fmt.Sprintf(`["shop", {"op": "insert", "table": "Item", "row": {"name": "n%d"}}]`, n))
		ends = append(ends, size())
	}
	db.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range int64(len(whole)) + 1 {
		near := slices.ContainsFunc(ends, func(end int64) bool { return max(cut-end, end-cut) < 4 })
		if !near && cut%9 != 0 && os.Getenv("RI_VERSIONS") != "all" {
			continue
		}
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := ovsdb.Open(path, nil, 0)
		if cut < ends[0] {
			if !errors.Is(err, ovsdb.ErrCorrupt) || size() != cut {
				t.Fatalf("cut at %d, in the schema: %v, and it has %d bytes", cut, err, size())
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		db, err := Open(f)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		want := 0
		for ends[want] < cut && want < 2 && ends[want+1] <= cut {
			want++
		}
		transact(t, db, `["shop", {"op": "insert", "table": "Item", "row": {"name": "after"}}]`)
		if got := strings.Count(transact(t, db, names), `"name"`); got != want+1 {
			t.Fatalf("cut at %d: %d rows, want %d", cut, got, want+1)
		}
		db.Close()
		again, err := ovsdb.Read(path, nil)
		if err != nil || again.Damage != nil || len(again.Rows("Item")) != want+1 {
			t.Fatalf("cut at %d, read again: %v, %v", cut, err, again)
		}
	}
}

// TestCompactsByItself: a file that one row is changed in for ever doesn't grow for ever.
func TestCompactsByItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	db := openFile(t, path, schema)
	transact(t, db, `["shop", {"op": "insert", "table": "Item", "row": {"name": "pen"}}]`)
	long := strings.Repeat("x", 64<<10)
	written, most := int64(0), int64(0)
	for n := range 160 {
		transact(t, db, fmt.Sprintf(`["shop", {"op": "update", "table": "Item", "where": [],
			"row": {"left": %d, "tags": "%s%d"}}]`, n, long, n))
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		written += int64(len(long))
		most = max(most, info.Size())
	}
	if most > written/2 {
		t.Errorf("after %d bytes the file had up to %d", written, most)
	}
	if err := db.Compaction(); err != nil {
		t.Error(err)
	}
	db.Close()
	db = openFile(t, path, schema)
	defer db.Close()
	if got := transact(t, db, names); got != `[{"rows":[{"asked":0,"left":159,"name":"pen"}]}]` {
		t.Errorf("then there is %s", got)
	}
}

// TestDiskFills: on a disk that is really full transactions are refused whole; those before are in the file, and when
// there is room again the next is written.
func TestDiskFills(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Skipf("no small file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	path, ballast := filepath.Join(dir, "shop.db"), filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 32<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	db := openFile(t, path, schema)
	insert := func(n int) string {
		return transact(t, db, fmt.Sprintf(`["shop", {"op": "insert", "table": "Item", "row": {"name": "n%d",
			"tags": "%s"}}, {"op": "commit", "durable": true}]`, n, strings.Repeat("t", 3000)))
	}
	done, refused := 0, 0
	for n := range 60 {
		switch got := insert(n); {
		case !strings.Contains(got, `"error"`):
			done++
		case strings.Contains(got, `"I/O error"`):
			refused++
		default:
			t.Fatalf("the answer is %s", got)
		}
	}
	if refused == 0 || done == 0 {
		t.Fatalf("%d were written, and %d refused", done, refused)
	}
	if _, _, err := db.Compact(); err == nil {
		t.Error("there was room for a compaction")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if got := insert(100); strings.Contains(got, `"error"`) {
		t.Errorf("with room again: %s", got)
	}
	db.Close()
	f, err := ovsdb.Read(path, nil)
	if err != nil || f.Damage != nil || len(f.Rows("Item")) != done+1 {
		t.Errorf("of %d rows the file has %d: %v, %v", done+1, len(f.Rows("Item")), err, f.Damage)
	}
}

package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// bucket is a listing as S3 has it, and who may replace it: only who knows which one is there.
type bucket struct {
	mu      sync.Mutex
	listing string
	put     int
	meddle  func(*bucket) // called before a PUT is looked at
}

func (b *bucket) tag() string {
	return fmt.Sprintf("%q", fmt.Sprintf("%x", sha256.Sum256([]byte(b.listing))))
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch r.Method {
	case http.MethodGet:
		w.Header().Set("ETag", b.tag())
		io.WriteString(w, b.listing)
	case http.MethodPut:
		if b.meddle != nil {
			b.meddle(b)
		}
		if r.Header.Get("If-Match") != b.tag() {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		text, _ := io.ReadAll(r.Body)
		b.listing, b.put = string(text), b.put+1
	}
}

// TestOutside compares what memory, the data folder and a listing elsewhere say of objects, and mends the listing.
func TestOutside(t *testing.T) {
	needAttach(t)
	folder, state := t.TempDir(), t.TempDir()
	p := startTarget(t, "local", "-objects", "3", "-seed", "7", "-data", folder, "-flush", "10ms")
	gateway := p.facts["listening"]
	for _, name := range []string{"kept", "gone"} {
		put(t, gateway+"/o/"+name, "hello "+name)
	}
	if _, err := request("DELETE", gateway+"/o/gone"); err != nil {
		t.Fatal(err)
	}
	if err := eventually("the data folder has the objects", func() (bool, error) {
		text, err := os.ReadFile(filepath.Join(folder, "objects.journal"))
		return strings.Contains(string(text), `"name":"kept"`) && strings.Contains(string(text), `"delete"`), err
	}); err != nil {
		t.Fatal(err)
	}
	b := &bucket{listing: "<ListBucketResult><Contents><Key>kept</Key><Size>1</Size></Contents>" +
		"<Contents><Key>lost &amp; found</Key><Size>9</Size></Contents></ListBucketResult>"}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	args := []string{"run", "object-outside", "listing=" + server.URL + "/bucket", "-p", fmt.Sprint(p.pid), "--journal",
		filepath.Join(state, "journal.db")}
	allowed := append(args, "--allow", "http="+host, "--allow", "file="+folder)

	if out, errs, code := askRi(t, append(args, "--dry-run")...); code != 4 || !strings.Contains(errs, "--allow") {
		t.Errorf("what nobody allowed: %d %s %s", code, out, errs)
	}
	if _, errs, code := askRi(t, append(args, "--dry-run", "--allow", "http=127.0.0.1:1", "--allow",
		"file="+folder)...); code != 1 || !strings.Contains(errs, "none of the hosts that are allowed") {
		t.Errorf("another host: %d %s", code, errs)
	}
	out, errs, code := askRi(t, append(allowed, "--dry-run")...)
	if code != 0 || b.put != 0 {
		t.Fatalf("--dry-run: %d, %d puts: %s %s", code, b.put, out, errs)
	}
	for _, want := range []string{"listed with another size", "listed, and not in memory", "not listed", "lost & found"} {
		if !strings.Contains(out, want) {
			t.Errorf("nothing is said of %q:\n%s", want, out)
		}
	}
	b.meddle = func(b *bucket) { b.listing += "<!-- somebody else was here -->"; b.meddle = nil }
	if out, errs, code := askRi(t, append(allowed, "--write", "--yes")...); code != 6 || b.put != 0 {
		t.Errorf("a listing that somebody has changed meanwhile: %d, %d puts: %s %s", code, b.put, out, errs)
	}
	if out, errs, code := askRi(t, append(allowed, "--write", "--yes")...); code != 0 || b.put != 1 {
		t.Fatalf("mending: %d, %d puts: %s %s", code, b.put, out, errs)
	}
	if strings.Contains(b.listing, "lost") || strings.Count(b.listing, "<Contents>") != 4 {
		t.Errorf("the listing is now\n%s", b.listing)
	}
	out, errs, code = askRi(t, append(allowed, "--dry-run")...)
	if code != 0 || !strings.Contains(out, "0 of 4 objects") {
		t.Errorf("after it was mended: %d %s %s", code, out, errs)
	}
	outsideFromAfar(t, p, server.URL, folder)
	outsideFile(t, p, state)
}

// outsideFromAfar asks agents: it is they that allow what may be reached.
func outsideFromAfar(t *testing.T, p *program, url, folder string) {
	allow := []string{"--allow", "http=" + strings.TrimPrefix(url, "http://"), "--allow", "file=" + folder}
	run := []string{"run", "object-outside", "listing=" + url + "/bucket", "-p", fmt.Sprint(p.pid), "--dry-run"}
	strict, generous := startAgent(t), startAgent(t, allow...)
	for _, c := range []struct {
		at   string
		args []string
		code int
		want string
	}{
		{strict.at, run, 4, "nobody has allowed"},
		{strict.at, append(run[:len(run):len(run)], allow...), 4, "can't be given from elsewhere"},
		{generous.at, run, 0, "0 of 4 objects"},
	} {
		out, errs, code := askRi(t, append([]string{"--at", c.at}, c.args...)...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%v: %d, want %d and %q: %s %s", c.args, code, c.code, c.want, out, errs)
		}
	}
}

// outsideFile replaces a file, with its guard, and takes it back when the process has ended.
func outsideFile(t *testing.T, p *program, state string) {
	folder := t.TempDir()
	path := filepath.Join(folder, "limit")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	write("100")
	script := filepath.Join(t.TempDir(), "limit.lua")
	if err := os.WriteFile(script, []byte(`
local file = require "file"
return {
  title = "another limit", modules = { "file" },
  columns = { { name = "was" } },
  run = function()
    local was = file.read("limit")
    ri.emit { was = was }
    ri.change("limit", function(tx) file.replace(tx, "limit", was, "200") end)
  end,
}`), 0o600); err != nil {
		t.Fatal(err)
	}
	journal := filepath.Join(state, "files.db")
	args := []string{"run", script, "-p", fmt.Sprint(p.pid), "--allow", "file=" + folder, "--journal", journal, "--write",
		"--yes"}
	if out, errs, code := askRi(t, args...); code != 0 {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	has := func(want string) {
		t.Helper()
		if text, err := os.ReadFile(path); err != nil || string(text) != want {
			t.Errorf("the file has %q (%v), and not %q", text, err, want)
		}
	}
	has("200")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("its mode is %v", info.Mode())
	}
	p.end()
	undo := []string{"undo", "1", "--journal", journal, "--write", "--yes"}
	write("300")
	if out, errs, code := askRi(t, undo...); code != 6 {
		t.Errorf("undo of what somebody has changed since: %d %s %s", code, out, errs)
	}
	has("300")
	write("200")
	if out, errs, code := askRi(t, undo...); code != 0 {
		t.Errorf("undo: %d %s %s", code, out, errs)
	}
	has("100")
}

func put(t *testing.T, url, text string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPut, url, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("PUT %s: %s", url, answer.Status)
	}
}

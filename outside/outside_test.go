package outside

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ri/ovsdb"
	"ri/ovsdb/engine"
	"ri/ovsdb/wire"
)

func allow(t *testing.T, list ...string) *Allowed {
	t.Helper()
	a, err := Parse(list, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestParse(t *testing.T) {
	for _, text := range []string{"", "http", "http=", "http=host", "http=:80", "file=/nowhere/at/all", "ftp=x:1",
		"ovsdb=", "ovsdb=tcp:host:x", "ovsdb=ptcp:1", "ovsdb=ssl:host:1", "file=/dev/null"} {
		if _, err := Parse([]string{text}, nil); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	var none *Allowed
	if none.Has("http") || allow(t).Has("file") || !allow(t, "http=h:1").Has("http") {
		t.Error("what is allowed")
	}
}

// TestWaysOut: nothing outside of the folder is read, listed or replaced, whatever leads there.
func TestWaysOut(t *testing.T) {
	top := t.TempDir()
	folder := filepath.Join(top, "in")
	for path, text := range map[string]string{"secret": "s", "in/inner/a": "a", "in/b": "b", "inside/c": "c"} {
		path = filepath.Join(top, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"out": "../secret", "absolute": filepath.Join(top, "secret"), "up": "..",
		"near": "b"} {
		if err := os.Symlink(to, filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(folder, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := allow(t, "file="+folder)
	for _, path := range []string{"../secret", "inner/../../secret", "out", "absolute", "up/secret", "fifo", "inner",
		filepath.Join(top, "secret"), filepath.Join(top, "inside", "c"), folder + "/../secret", "", "/etc/passwd"} {
		if data, err := a.Read(path); err == nil {
			t.Errorf("%s is read: %q", path, data)
		}
		if r, err := a.Replace(path, []byte("s"), []byte("x")); err == nil {
			t.Errorf("%s is replaced: %v", path, r.Do())
		}
	}
	if list, err := a.List("up"); err == nil {
		t.Errorf("what is above is listed: %v", list)
	}
	if r, err := a.Replace("near", []byte("b"), []byte("x")); err == nil {
		t.Errorf("a link is replaced: %v", r.Do())
	}
	for _, path := range []string{"inner/a", filepath.Join(folder, "inner", "a"), "inner/../inner/a"} {
		if data, err := a.Read(path); err != nil || string(data) != "a" {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
	if _, err := a.Read("nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what isn't there: %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(top, "secret")); err != nil || string(text) != "s" {
		t.Errorf("the secret is now %q, %v", text, err)
	}
}

func TestReplace(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "f")
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	a := allow(t, "file="+folder)
	if _, err := a.Replace("f", []byte("other"), []byte("new")); !errors.Is(err, ErrChanged) {
		t.Errorf("a guard that doesn't hold: %v", err)
	}
	r, err := a.Replace("f", []byte("old"), []byte("new"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("meanwhile"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := r.Do(); !errors.Is(err, ErrChanged) {
		t.Errorf("what was changed meanwhile: %v", err)
	}
	os.WriteFile(path, []byte("old"), 0o640)
	if err := r.Do(); err != nil {
		t.Fatal(err)
	}
	info, _ := os.Stat(path)
	if text, _ := os.ReadFile(path); string(text) != "new" || info.Mode().Perm() != 0o640 {
		t.Errorf("%q, %v", text, info.Mode())
	}
	if err := Restore(path, []byte("old"), []byte("new")).Do(); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "old" {
		t.Errorf("taken back: %q", text)
	}
	if list, err := a.List("."); err != nil || len(list) != 1 {
		t.Errorf("what is left: %v, %v", list, err)
	}
}

func TestHTTP(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "other")
	}))
	defer other.Close()
	state := "one"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/away":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case r.URL.Path == "/again":
			http.Redirect(w, r, "/state", http.StatusFound)
		case r.URL.Path == "/large":
			io.CopyN(w, endless{}, MaxBody+1)
		case r.Method == http.MethodPut:
			text, _ := io.ReadAll(r.Body)
			state = string(text)
		default:
			io.WriteString(w, state)
		}
	}))
	defer server.Close()
	a := allow(t, "http="+strings.TrimPrefix(server.URL, "http://"))
	ctx := context.Background()
	for _, at := range []string{server.URL + "/away", other.URL, server.URL + "/large", "file:///etc/passwd",
		strings.Replace(server.URL, "http", "ftp", 1), "http://", "%"} {
		if r, err := a.Get(ctx, at); err == nil {
			t.Errorf("%s: %d bytes", at, len(r.Body))
		}
	}
	r, err := a.Get(ctx, server.URL+"/again")
	if err != nil || string(r.Body) != "one" {
		t.Fatalf("%v, %v", r, err)
	}
	state = "two"
	if err := a.Put(ctx, server.URL+"/state", r, []byte("three")); !errors.Is(err, ErrChanged) || state != "two" {
		t.Errorf("a guard that doesn't hold: %v, %s", err, state)
	}
	if r, err = a.Get(ctx, server.URL+"/state"); err != nil {
		t.Fatal(err)
	}
	if err := a.Put(ctx, server.URL+"/state", r, []byte("three")); err != nil || state != "three" {
		t.Errorf("%v, %s", err, state)
	}
	if err := a.Put(ctx, other.URL, r, nil); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("another host: %v", err)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func TestOVSDB(t *testing.T) {
	schema, err := ovsdb.ParseSchema([]byte(`{"name":"d","tables":{"t":{"columns":{"n":{"type":"integer"}},
		"isRoot":true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	server, err := wire.NewServer()
	if err == nil {
		err = server.Add(engine.New(schema))
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l) }()
	defer func() { cancel(); <-ended }()
	at := fmt.Sprintf("tcp:%s", l.Addr())
	a := allow(t, "ovsdb="+at)
	ops := func(text string) (list []any) {
		if err := ovsdb.Decode([]byte(text), &list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	guarded := `[{"op":"wait","table":"t","where":[],"columns":["n"],"until":"==","rows":[],"timeout":0},
		{"op":"insert","table":"t","row":{"n":7}}]`
	if _, err := a.Transact(ctx, at, "d", ops(guarded)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Transact(ctx, at, "d", ops(guarded)); !errors.Is(err, ErrChanged) {
		t.Errorf("a guard that doesn't hold: %v", err)
	}
	results, err := a.Transact(ctx, at, "d", ops(`[{"op":"select","table":"t","where":[],"columns":["n"]}]`))
	if got := ovsdb.Text(results); err != nil || got != `[{"rows":[{"n":7}]}]` {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := a.Transact(ctx, "tcp:127.0.0.1:1", "d", nil); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("another server: %v", err)
	}
	cancel()
	<-ended
	ended <- nil
	if _, err := a.Transact(context.Background(), at, "d", ops(guarded)); err == nil || errors.Is(err, ErrUnknown) {
		t.Errorf("a server that isn't there: %v", err)
	}
	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	go func() {
		if conn, err := deaf.Accept(); err == nil {
			io.ReadAtLeast(conn, make([]byte, 10), 10)
			conn.Close()
		}
	}()
	at = fmt.Sprintf("tcp:%s", deaf.Addr())
	if _, err := allow(t, "ovsdb="+at).Transact(context.Background(), at, "d", ops(guarded)); !errors.Is(err, ErrUnknown) {
		t.Errorf("an answer that is lost: %v", err)
	}
	if Reads(ops(guarded)) || !Reads(ops(`[{"op":"select"}]`)) {
		t.Error("what reads")
	}
}

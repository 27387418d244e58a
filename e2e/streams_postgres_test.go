package e2e

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is whom PostgreSQL runs as, which refuses to run as root.
const nobody = 65534

// postgres starts a PostgreSQL that asks for passwords by SCRAM, and speaks TLS if it is asked to. It gives its port
// and what ends it.
func postgres(t *testing.T, password string) (port int, stop func()) {
	t.Helper()
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if path, err := exec.LookPath("initdb"); err == nil {
		folders = append(folders, filepath.Dir(path))
	}
	if len(folders) == 0 {
		t.Fatal("PostgreSQL isn't installed: e2e/needs.sh installs it")
	}
	dir, err := os.MkdirTemp("/var/tmp", "ri-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(password), 0o644); err != nil {
		t.Fatal(err)
	}
	as := &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		as.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) {
		cmd := exec.Command(filepath.Join(folders[0], name), args...)
		cmd.Dir, cmd.SysProcAttr = dir, as
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	data := filepath.Join(dir, "data")
	run("initdb", "-D", data, "-U", "app", "--pwfile", secret, "-A", "scram-sha-256", "-N")
	port = freePort(t)
	for name, kind := range map[string]string{"server.crt": "CERTIFICATE", "server.key": "PRIVATE KEY"} {
		path := filepath.Join(data, name)
		server := httptest.NewTLSServer(nil) // its certificate is for tests
		server.Close()
		der := server.TLS.Certificates[0].Certificate[0]
		if kind == "PRIVATE KEY" {
			der, err = x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
		}
		if err == nil {
			err = os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
		}
		if err == nil && os.Geteuid() == 0 {
			err = os.Chown(path, nobody, nobody)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	run("pg_ctl", "-D", data, "-w", "-l", filepath.Join(dir, "log"), "-o",
		fmt.Sprintf("-p %d -k %s -F -c ssl=on", port, dir), "start")
	ended := false
	stop = func() {
		if !ended {
			run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
		}
		ended = true
	}
	t.Cleanup(stop)
	return port, stop
}

// TestStreamsPostgres records a server with a pool of connections to PostgreSQL, to which it logs in by SCRAM with a
// password of its environment, without TLS and inside of it, for which both ends ask in clear first. The password isn't
// in the recording; replayed without the database, with the token in its place, the server logs in and does the same.
// It does with digests of what it sent, too.
func TestStreamsPostgres(t *testing.T) {
	exe := buildProgram(t, "postgres", ".")
	for name, flags := range map[string][]string{"with what was sent": {"--payload", "--sent"},
		"with digests": {"--payload"}} {
		for _, mode := range []string{"disable", "require"} {
			t.Run(name+", sslmode="+mode, func(t *testing.T) { streamsPostgres(t, exe, mode, flags) })
		}
	}
}

func streamsPostgres(t *testing.T, exe, mode string, flags []string) {
	const password = "Pl4ntedInURL"
	file := filepath.Join(t.TempDir(), "server.streams")
	port, stop := postgres(t, password)
	get := func(url string) {
		resp, err := http.Get(url)
		if err != nil {
			t.Error(err)
			return
		}
		text, err := io.ReadAll(resp.Body)
		if resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %v", url, text, err)
		}
	}
	recordedProgram(t, file, flags, []string{exe}, fmt.Sprintf(
		"DATABASE_URL=postgres://app:%s@127.0.0.1:%d/postgres?sslmode=%s", password, port, mode), func(addr string) {
		for i := range 10 {
			get(fmt.Sprintf("http://%s/add?name=%d", addr, i))
		}
		get("http://" + addr + "/list")
	})
	stop()
	if text, err := os.ReadFile(file); err != nil || strings.Contains(string(text), password) {
		t.Errorf("the password is in the recording, or %v", err)
	}
	if r := replayStreams(t, file); !r.Same || r.Equal < 25 {
		t.Errorf("%+v", r)
	}
}

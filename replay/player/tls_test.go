//go:build linux && amd64

package player

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestClientCertificates: a server that asks its clients for certificates takes those of the replay where it is told to
// trust their authority, and their names are those of a certificate whose key nobody has. Without that it takes none,
// which is said.
func TestClientCertificates(t *testing.T) {
	var tape tape
	cert, key := certificate(t)
	real, err := newAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	trusted := filepath.Join(t.TempDir(), "clients.pem")
	if err := os.WriteFile(trusted, real.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	mine, err := real.client(nil)
	if err != nil {
		t.Fatal(err)
	}
	address, stop := tape.start(t, build(t), "-cert", cert, "-key", key, "-clients", trusted)
	secure := func(_ context.Context, network, address string) (net.Conn, error) {
		c, err := tls.Dial(network, address, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{*mine}})
		if err != nil {
			return nil, err
		}
		x := tape.conn(c, false)
		x.secure = true
		return x, nil
	}
	client := &http.Client{Transport: &http.Transport{DialTLSContext: secure}}
	if who := ask(t, client, "https://"+address+"/who", ""); who != "CN=ri replay client\n" {
		t.Fatal(who)
	}
	client.CloseIdleConnections()
	stop()
	for _, path := range []string{cert, key, trusted} {
		tape.take(t, path)
	}
	opt := Options{Trust: []string{trusted}}
	if r := replay(t, tape.file(t), opt); !r.Same() || r.Equal != 1 {
		t.Errorf("%+v", *r)
	}
	other, err := real.certificate("other.test", netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	opt.ClientCert = other.Certificate[0]
	if r := replay(t, tape.file(t), opt); r.Differing != 1 ||
		!strings.Contains(string(r.Differences[0].Replayed), fmt.Sprint("Length: ", len("CN=other.test\n"))) {
		t.Errorf("%+v", *r)
	}
	r := replay(t, tape.file(t), Options{Patience: 50 * time.Millisecond})
	if r.Same() || !strings.Contains(strings.Join(r.Notes, "\n"), "got none (--trust FILE): 1") {
		t.Errorf("%+v", *r)
	}
	if _, err := Replay(t.Context(), tape.file(t), Options{Trust: []string{key}}, nil, os.Stderr, os.Stderr); err == nil {
		t.Error("a key is taken for certificates")
	}
	if block, rest := pem.Decode(real.trusting(real.pem())); block == nil || len(rest) == 0 {
		t.Error("ours isn't put behind the others")
	}
}

package seal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"
)

// keys makes a pair of age's and one of ssh's: what is named as recipient, and the files that open.
func keys(t *testing.T) (recipients []string, identities []string) {
	t.Helper()
	own, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return []string{own.Recipient().String(), string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(key)))},
		[]string{write(t, "own", own.String()+"\n"), write(t, "ssh", string(pem.EncodeToMemory(block)))}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func sealed(t *testing.T, data []byte, to ...string) []byte {
	t.Helper()
	r, err := ReadRecipients(to)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := Writer(&b, r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(t *testing.T, file []byte, identity string) ([]byte, error) {
	t.Helper()
	with, err := ReadIdentities(identity)
	if err != nil {
		t.Fatal(err)
	}
	plain, size, err := Open(bytes.NewReader(file), int64(len(file)), with)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(plain, 0, size))
}

// TestSeal encrypts for several, each of whom opens it, and nobody else. What was cut short gives its whole chunks.
func TestSeal(t *testing.T) {
	to, with := keys(t)
	_, others := keys(t)
	data := bytes.Repeat([]byte("what is in clear "), 20_000) // 340,000 bytes, 6 chunks
	file := sealed(t, data, append(to, write(t, "list", "# those at home\n"+to[0]+"\n\n"+to[1]+"\n"))...)
	if !IsSealed(bytes.NewReader(file)) || IsSealed(bytes.NewReader(data)) || bytes.Contains(file, []byte("in clear")) {
		t.Error("it isn't encrypted")
	}
	for _, identity := range with {
		if got, err := read(t, file, identity); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v", identity, len(got), err)
		}
		for _, cut := range []int{1, 100, 20_000, 100_000, 270_000} {
			got, err := read(t, file[:len(file)-cut], identity)
			if err != nil || len(got)%plainChunk != 0 || len(got)+cut+plainChunk < len(data) || !bytes.HasPrefix(data, got) {
				t.Errorf("%d bytes cut off: %d bytes, %v", cut, len(got), err)
			}
		}
		flipped := bytes.Clone(file)
		flipped[len(flipped)-30] ^= 1
		if got, err := read(t, flipped, identity); err == nil && !bytes.HasPrefix(data, got) {
			t.Errorf("a bit flipped: %d bytes, not noticed", len(got))
		}
		if _, err := read(t, file[:40], identity); !errors.Is(err, ErrDamaged) {
			t.Errorf("of the beginning: %v", err)
		}
	}
	for _, identity := range others {
		if _, err := read(t, file, identity); !errors.Is(err, ErrOther) {
			t.Errorf("somebody else: %v", err)
		}
	}
	if _, err := read(t, file, ""); !errors.Is(err, ErrSealed) {
		t.Errorf("nobody: %v", err)
	}
}

func TestKeys(t *testing.T) {
	to, with := keys(t)
	for _, bad := range []string{"age1nonsense", "ssh-ed25519 AAAA", write(t, "empty", "# nobody\n"),
		write(t, "bad", to[0]+"\nnonsense\n"), with[0]} {
		if r, err := ReadRecipients([]string{to[0], bad}); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v, %v", bad, r, err)
		}
	}
	if _, err := ReadRecipients([]string{"/nowhere/at/all"}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	for _, bad := range []string{write(t, "public", to[0]), write(t, "armor", armor), write(t, "nothing", ""),
		write(t, "sealed", string(sealed(t, []byte("x"), to[0])))} {
		if _, err := ReadIdentities(bad); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestCounter sees that a chunk's number is its nonce beyond the first 256, too.
func TestCounter(t *testing.T) {
	to, with := keys(t)
	data := make([]byte, 300*plainChunk)
	for i := range data {
		data[i] = byte(i >> 16)
	}
	file := sealed(t, data, to[0])
	got, err := read(t, file[:len(file)-1], with[0])
	if err != nil || len(got) != 299*plainChunk || !bytes.Equal(got, data[:len(got)]) {
		t.Error(fmt.Errorf("%d bytes, %w", len(got), err))
	}
}

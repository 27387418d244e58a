// Package seal encrypts recordings for those who may read them, and opens them again: files of age
// (https://age-encryption.org/v1), which its own tools read, too. They are written as a stream, so nothing of what is
// in them touches a disk, and read a chunk at a time.
//
// What may not come in: what the files hold.
package seal

import (
	"bufio"
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/chacha20poly1305"

	"ri/files"
)

var (
	// ErrKey: what was given is no key that age knows.
	ErrKey = errors.New("not a key of age")
	// ErrSealed: a file is encrypted, and nobody said by what it is opened.
	ErrSealed = errors.New("it is encrypted: name the file of your key (--identity FILE)")
	// ErrOther: a file is encrypted for others.
	ErrOther = errors.New("it is encrypted for other keys")
	// ErrDamaged: what is encrypted isn't as it was written.
	ErrDamaged = errors.New("it is damaged, or no file of age")
)

// Recipients are those who may read a file. The zero Recipients are nobody, and say that it isn't encrypted.
type Recipients struct{ list []age.Recipient }

// None tells that there are none.
func (r Recipients) None() bool { return len(r.list) == 0 }

// maxKeys bounds a file of keys, in bytes.
const maxKeys = 1 << 20

// ReadRecipients takes keys, each "age1...", "ssh-ed25519 ...", "ssh-rsa ...", or a file of such, one a line, "#"
// beginning a comment.
//
// Errors: ErrKey, errors of the files.
func ReadRecipients(keys []string) (r Recipients, err error) {
	for _, key := range keys {
		if one, err := recipient(key); err == nil {
			r.list = append(r.list, one)
			continue
		} else if strings.HasPrefix(key, "age1") || strings.HasPrefix(key, "ssh-") {
			return r, fmt.Errorf("%s: %v: %w", shown(key), err, ErrKey)
		}
		text, err := files.Read(key, maxKeys)
		if err != nil {
			return r, fmt.Errorf("neither a key of age (age1..., ssh-ed25519 ..., ssh-rsa ...) nor a file of such: %w", err)
		}
		n := len(r.list)
		for i, line := range strings.Split(string(text), "\n") {
			if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
				continue
			}
			one, err := recipient(line)
			if err != nil {
				return r, fmt.Errorf("%s, line %d: %w", key, i+1, ErrKey)
			}
			r.list = append(r.list, one)
		}
		if len(r.list) == n {
			return r, fmt.Errorf("%s has no key: %w", key, ErrKey)
		}
	}
	return r, nil
}

// shown is as much of a key as tells which it is.
func shown(key string) string { return key[:min(len(key), 24)] + "..." }

func recipient(key string) (age.Recipient, error) {
	if strings.HasPrefix(key, "ssh-") {
		return agessh.ParseRecipient(key)
	}
	list, err := age.ParseRecipients(strings.NewReader(key))
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// Writer encrypts what is written to it. The file is whole when it is closed.
func Writer(w io.Writer, r Recipients) (io.WriteCloser, error) {
	out, err := age.Encrypt(w, r.list...)
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	return out, nil
}

// Identities are what opens a file. The zero Identities open none.
type Identities struct {
	list []age.Identity
	path string
}

// ReadIdentities reads a file of keys: AGE-SECRET-KEY-1..., one a line, or a private key of ssh. "" gives none. Keys
// that are themselves encrypted are not read.
//
// Errors: ErrKey, errors of the file.
func ReadIdentities(path string) (i Identities, err error) {
	if path == "" {
		return i, nil
	}
	text, err := files.Read(path, maxKeys)
	if err != nil {
		return i, err
	}
	i.path = path
	switch {
	case bytes.HasPrefix(text, []byte("-----BEGIN")) && bytes.Contains(text, []byte("PRIVATE KEY")):
		one, err := agessh.ParseIdentity(text)
		if err != nil {
			return i, fmt.Errorf("%s: %v (of a key with a passphrase make a copy without one, ssh-keygen -p): %w", path, err,
				ErrKey)
		}
		i.list = []age.Identity{one}
	case bytes.HasPrefix(text, []byte(magic)) || bytes.HasPrefix(text, []byte(armor)):
		return i, fmt.Errorf("%s is encrypted itself: age -d opens it: %w", path, ErrKey)
	default:
		if i.list, err = age.ParseIdentities(bytes.NewReader(text)); err != nil {
			return i, fmt.Errorf("%s: neither keys of age (AGE-SECRET-KEY-1...) nor a private key of ssh: %w", path, ErrKey)
		}
	}
	return i, nil
}

// How files of age begin.
const (
	magic = "age-encryption.org/v1\n"
	armor = "-----BEGIN AGE ENCRYPTED FILE-----"
)

// IsSealed tells whether a file is encrypted.
func IsSealed(r io.ReaderAt) bool {
	head := make([]byte, len(armor))
	n, _ := r.ReadAt(head, 0)
	return bytes.HasPrefix(head[:n], []byte(magic)) || bytes.HasPrefix(head[:n], []byte(armor))
}

// Open gives what a file of so many bytes holds, and its size. Of a file that was cut short it gives what is whole of
// it.
//
// Errors: ErrSealed without identities, ErrOther, ErrDamaged, errors of the file.
func Open(r io.ReaderAt, size int64, with Identities) (plain io.ReaderAt, length int64, err error) {
	if len(with.list) == 0 {
		return nil, 0, ErrSealed
	}
	whole := io.NewSectionReader(r, 0, size)
	head := make([]byte, len(armor))
	if n, _ := r.ReadAt(head, 0); bytes.HasPrefix(head[:n], []byte(armor)) {
		return nil, 0, fmt.Errorf("it is a file of age as text; age -d -i %s makes a plain one of it: %w", with.path,
			errors.ErrUnsupported)
	}
	plain, length, err = age.DecryptReaderAt(r, size, with.list...)
	if err == nil {
		return plain, length, nil
	}
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, 0, fmt.Errorf("%w than those of %s", ErrOther, with.path)
	}
	if plain, length = openCut(whole, with); plain == nil {
		return nil, 0, fmt.Errorf("%v: %w", err, ErrDamaged)
	}
	return plain, length, nil
}

// The payload of age's files, https://c2sp.org/age: a nonce, and chunks of plainChunk bytes, each encrypted by
// ChaCha20-Poly1305 with a counter as nonce, whose last byte is 1 of the last chunk.
const (
	plainChunk  = 64 << 10
	sealedChunk = plainChunk + chacha20poly1305.Overhead
	saltSize    = 16
)

// cut is a file whose last chunk is missing. It is safe for concurrent use.
type cut struct {
	r    io.ReaderAt
	at   int64 // where the chunks begin
	size int64 // of what is whole, plain
	aead cipher.AEAD
}

// openCut opens the chunks that are whole, nil if there is none.
func openCut(r *io.SectionReader, with Identities) (io.ReaderAt, int64) {
	header, err := age.ExtractHeader(bufio.NewReader(r))
	if err != nil {
		return nil, 0
	}
	fileKey, err := age.DecryptHeader(header, with.list...)
	salt := make([]byte, saltSize)
	if _, short := r.ReadAt(salt, int64(len(header))); err != nil || short != nil {
		return nil, 0
	}
	key, err := hkdf.Key(sha256.New, fileKey, salt, "payload", chacha20poly1305.KeySize)
	if err != nil {
		return nil, 0
	}
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		return nil, 0
	}
	c := &cut{r: r, at: int64(len(header)) + saltSize, aead: aead}
	c.size = (r.Size() - c.at) / sealedChunk * plainChunk
	if _, err := c.chunk(0); err != nil {
		return nil, 0
	}
	return c, c.size
}

func (c *cut) chunk(n int64) ([]byte, error) {
	sealed := make([]byte, sealedChunk)
	if k, err := c.r.ReadAt(sealed, c.at+n*sealedChunk); k < len(sealed) {
		return nil, err
	}
	nonce := make([]byte, chacha20poly1305.NonceSize)
	binary.BigEndian.PutUint64(nonce[3:], uint64(n)) // a counter of 11 bytes, and 0: not the last
	plain, err := c.aead.Open(sealed[:0], nonce, sealed, nil)
	if err != nil {
		return nil, ErrDamaged
	}
	return plain, nil
}

// ReadAt implements io.ReaderAt.
func (c *cut) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at < 0 || at >= c.size {
			return n, io.EOF
		}
		plain, err := c.chunk(at / plainChunk)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], plain[at%plainChunk:])
	}
	return n, nil
}

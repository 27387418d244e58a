// Package pki is who is who between agents and those who ask: a site's own authority, the certificates that it gives
// out, their renewal and revocation, and TLS 1.3 with both.
//
// A certificate says what its holder is in a URI: ri://agent/NAME, or ri://ROLE/NAME with what who asks may. So an
// agent needs no list of people, and nobody who asks can pretend to be an agent.
//
// What may not come in: connections' methods, what roles allow.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"ri/files"
)

// Agent is the kind of certificates that agents have, and Tracer that of the server of requests for traces, which can
// enable what operators defined, and is none that asks; others are roles.
const (
	Agent  = "agent"
	Tracer = "tracer"
)

// Scheme is of the URI that says what a holder is.
const Scheme = "ri"

// Files of an authority's folder.
const (
	caFile     = "ca.pem"
	caKeyFile  = "ca.key"
	CRLFile    = "crl.pem"
	issuedDir  = "issued"
	mostBundle = 1 << 20
)

// Lifetimes.
const (
	caLife  = 20 * 365 * 24 * time.Hour
	crlLife = 10 * 365 * 24 * time.Hour
	early   = 5 * time.Minute // clocks differ
)

// ErrExists: there is such an authority or certificate already.
var ErrExists = errors.New("is there already")

// Authority is a site's, in a folder that is its owner's alone.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

// Init makes an authority.
func Init(dir, site string) error {
	if err := os.MkdirAll(filepath.Join(dir, issuedDir), 0o700); err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(dir, caFile)); err == nil {
		return fmt.Errorf("%s: an authority %w", dir, ErrExists)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := number()
	if err != nil {
		return err
	}
	now := time.Now()
	ca := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "ri authority of " + site},
		NotBefore: now.Add(-early), NotAfter: now.Add(caLife), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		return err
	}
	keyText, err := encodeKey(key)
	if err != nil {
		return err
	}
	if err := files.Replace(filepath.Join(dir, caKeyFile), keyText, 0o600); err != nil {
		return err
	}
	if err := files.Replace(filepath.Join(dir, caFile), encode("CERTIFICATE", der), 0o644); err != nil {
		return err
	}
	a, err := Open(dir)
	if err != nil {
		return err
	}
	return a.list(nil)
}

// Open opens an authority.
func Open(dir string) (*Authority, error) {
	if _, err := os.Stat(filepath.Join(dir, caFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no authority; ri pki init makes one", dir)
	}
	cert, err := files.Read(filepath.Join(dir, caFile), mostBundle)
	if err != nil {
		return nil, err
	}
	key, err := files.ReadBelieved(filepath.Join(dir, caKeyFile), mostBundle)
	if err != nil {
		return nil, err
	}
	b, err := parse(append(key, cert...))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if b.key == nil || len(b.certs) != 1 {
		return nil, fmt.Errorf("%s: %s has no key, or %s no certificate", dir, caKeyFile, caFile)
	}
	return &Authority{dir, b.certs[0], b.key}, nil
}

// DefaultFolder is where a user's authority is.
func DefaultFolder() string { return filepath.Join(files.ConfigFolder(), "ri", "pki") }

var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// Wish is a certificate that is asked for.
type Wish struct {
	Name  string
	Kind  string   // Agent, or a role
	Hosts []string // of an agent: names and addresses by which it is called
	Life  time.Duration
}

// Issue makes a certificate with a new key: what is returned, in PEM, is the key, the certificate and the authority's.
func (a *Authority) Issue(w Wish) ([]byte, error) {
	if !names.MatchString(w.Name) {
		return nil, fmt.Errorf("%q is no name: letters, digits, and . _ @ -", w.Name)
	}
	if _, err := os.Lstat(a.issued(w.Name)); err == nil {
		return nil, fmt.Errorf("a certificate of %s %w; ri pki renew %s makes a new one", w.Name, ErrExists, w.Name)
	}
	return a.make(w)
}

// Renew makes a new certificate, with a new key, of the same holder. The old one is good until it expires, or is
// revoked.
func (a *Authority) Renew(name string, life time.Duration) ([]byte, error) {
	last, err := a.last(name)
	if err != nil {
		return nil, err
	}
	who, err := Who(last)
	if err != nil {
		return nil, err
	}
	w := Wish{Name: name, Kind: who.Kind, Hosts: slices.Clone(last.DNSNames), Life: life}
	for _, ip := range last.IPAddresses {
		w.Hosts = append(w.Hosts, ip.String())
	}
	return a.make(w)
}

func (a *Authority) issued(name string) string { return filepath.Join(a.dir, issuedDir, name+".pem") }

func (a *Authority) last(name string) (*x509.Certificate, error) {
	all, err := a.all(name)
	if err != nil {
		return nil, err
	}
	return all[len(all)-1], nil
}

func (a *Authority) all(name string) ([]*x509.Certificate, error) {
	if !names.MatchString(name) {
		return nil, fmt.Errorf("%q is no name", name)
	}
	text, err := files.Read(a.issued(name), mostBundle)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no certificate was issued to %s (ri pki list lists them)", name)
	}
	if err != nil {
		return nil, err
	}
	b, err := parse(text)
	if err == nil && len(b.certs) == 0 {
		err = errors.New("it has no certificate")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.issued(name), err)
	}
	return b.certs, nil
}

// Brief makes a certificate of which nothing is kept but in memory, and which is in no list: of agents that are
// simulated.
func (a *Authority) Brief(w Wish) (*Identity, error) {
	key, der, err := a.certify(w)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return identity(key, cert, a.cert, filepath.Join(a.dir, CRLFile), false)
}

func (a *Authority) make(w Wish) ([]byte, error) {
	key, der, err := a.certify(w)
	if err != nil {
		return nil, err
	}
	text := encode("CERTIFICATE", der)
	before, err := os.ReadFile(a.issued(w.Name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := files.Replace(a.issued(w.Name), append(before, text...), 0o600); err != nil {
		return nil, err
	}
	keyText, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return slices.Concat(keyText, text, encode("CERTIFICATE", a.cert.Raw)), nil
}

// certify makes a key and its certificate.
func (a *Authority) certify(w Wish) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := number()
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	cert := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: w.Name}, NotBefore: now.Add(-early),
		NotAfter: now.Add(w.Life), KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		URIs:        []*url.URL{{Scheme: Scheme, Host: w.Kind, Path: "/" + w.Name}}}
	if w.Life < 0 {
		cert.NotBefore = cert.NotAfter.Add(-early)
	}
	if cert.NotAfter.After(a.cert.NotAfter) {
		cert.NotAfter = a.cert.NotAfter
	}
	for _, h := range w.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			cert.IPAddresses = append(cert.IPAddresses, ip)
		} else {
			cert.DNSNames = append(cert.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), a.key)
	return key, der, err
}

// Revoke has all certificates of a name refused by who has the list of what is revoked, and gives where that is.
func (a *Authority) Revoke(name string) (list string, err error) {
	all, err := a.all(name)
	if err != nil {
		return "", err
	}
	old, err := a.revoked()
	if err != nil {
		return "", err
	}
	entries := old.RevokedCertificateEntries
	for _, c := range all {
		if !slices.ContainsFunc(entries, func(e x509.RevocationListEntry) bool {
			return e.SerialNumber.Cmp(c.SerialNumber) == 0
		}) {
			entries = append(entries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now()})
		}
	}
	return filepath.Join(a.dir, CRLFile), a.list(entries)
}

func (a *Authority) revoked() (*x509.RevocationList, error) {
	return readList(filepath.Join(a.dir, CRLFile), a.cert)
}

func (a *Authority) list(entries []x509.RevocationListEntry) error {
	now := time.Now()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(now.UnixNano()),
		ThisUpdate: now, NextUpdate: now.Add(crlLife), RevokedCertificateEntries: entries}, a.cert, a.key)
	if err != nil {
		return err
	}
	return files.Replace(filepath.Join(a.dir, CRLFile), encode("X509 CRL", der), 0o644)
}

// Issued is a certificate as it is listed.
type Issued struct {
	Name, Kind string
	Hosts      []string
	Until      time.Time
	Revoked    bool
}

// List lists the certificates, the newest of each name.
func (a *Authority) List() ([]Issued, error) {
	entries, err := os.ReadDir(filepath.Join(a.dir, issuedDir))
	if err != nil {
		return nil, err
	}
	revoked, err := a.revoked()
	if err != nil {
		return nil, err
	}
	var all []Issued
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".pem")
		if !ok {
			continue
		}
		cert, err := a.last(name)
		if err != nil {
			return nil, err
		}
		who, err := Who(cert)
		if err != nil {
			return nil, err
		}
		one := Issued{Name: name, Kind: who.Kind, Hosts: slices.Clone(cert.DNSNames), Until: cert.NotAfter,
			Revoked: contains(revoked, cert)}
		for _, ip := range cert.IPAddresses {
			one.Hosts = append(one.Hosts, ip.String())
		}
		all = append(all, one)
	}
	return all, nil
}

func contains(list *x509.RevocationList, cert *x509.Certificate) bool {
	return slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool {
		return e.SerialNumber.Cmp(cert.SerialNumber) == 0
	})
}

func number() (*big.Int, error) { return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) }

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return encode("PRIVATE KEY", der), err
}

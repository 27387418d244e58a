package pki

import (
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"ri/files"
)

// Errors of who is at the other end.
var (
	// ErrNobody: it has no certificate of this site's authority that is good now.
	ErrNobody = errors.New("no good certificate")
	// ErrRevoked: its certificate was revoked.
	ErrRevoked = errors.New("the certificate was revoked")
)

// Holder is what a certificate says of who has it.
type Holder struct {
	Name string
	Kind string // Agent, or a role
}

// Who reads what a certificate says of its holder.
func Who(cert *x509.Certificate) (Holder, error) {
	for _, u := range cert.URIs {
		if name, ok := strings.CutPrefix(u.Path, "/"); ok && u.Scheme == Scheme && u.Host != "" && names.MatchString(name) {
			return Holder{name, u.Host}, nil
		}
	}
	return Holder{}, fmt.Errorf("%w: it says neither of what role its holder is, nor that it is an agent", ErrNobody)
}

type bundle struct {
	key   crypto.Signer
	certs []*x509.Certificate
	lists []*x509.RevocationList
}

func parse(text []byte) (*bundle, error) {
	b := &bundle{}
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return b, nil
		}
		text = rest
		switch block.Type {
		case "CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, err
			}
			b.certs = append(b.certs, cert)
		case "PRIVATE KEY":
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, err
			}
			signer, ok := key.(crypto.Signer)
			if !ok {
				return nil, errors.New("the key can't sign")
			}
			b.key = signer
		case "X509 CRL":
			list, err := x509.ParseRevocationList(block.Bytes)
			if err != nil {
				return nil, err
			}
			b.lists = append(b.lists, list)
		}
	}
}

func readList(path string, ca *x509.Certificate) (*x509.RevocationList, error) {
	text, err := files.ReadSigned(path, 64<<20)
	if err != nil {
		return nil, err
	}
	b, err := parse(text)
	if err == nil && len(b.lists) != 1 {
		err = errors.New("it is no list of what was revoked")
	}
	if err == nil {
		err = b.lists[0].CheckSignatureFrom(ca)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b.lists[0], nil
}

// Identity is who one is, and whose certificates one believes.
type Identity struct {
	Holder
	own   tls.Certificate
	ca    *x509.Certificate
	roots *x509.CertPool
	crl   string
	may   bool // crl needn't be there: nothing was revoked so far

	mu   sync.Mutex
	read time.Time // of the file of the list that was read
	list *x509.RevocationList
	sure map[[sha256.Size]byte]bool // certificates that the authority issued, by their digests
}

// mostSure is of how many certificates it is remembered that the authority issued them.
const mostSure = 1 << 14

// Load reads a file that Issue made. What was revoked is in the file crl; "": in crl.pem beside it, if that is there.
func Load(path, crl string) (*Identity, error) {
	text, err := files.ReadBelieved(path, mostBundle)
	if err != nil {
		return nil, err
	}
	b, err := parse(text)
	if err == nil && (b.key == nil || len(b.certs) != 2) {
		err = errors.New("it has no key, certificate and authority, as ri pki issue writes them")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	may := crl == ""
	if may {
		crl = filepath.Join(filepath.Dir(path), CRLFile)
	}
	i, err := identity(b.key, b.certs[0], b.certs[1], crl, may)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return i, nil
}

// identity is who has a key and a certificate of an authority. may: its list of what was revoked needn't be there.
func identity(key crypto.PrivateKey, own, ca *x509.Certificate, crl string, may bool) (*Identity, error) {
	who, err := Who(own)
	if err != nil {
		return nil, err
	}
	i := &Identity{Holder: who, ca: ca, roots: x509.NewCertPool(), crl: crl, may: may,
		own: tls.Certificate{Certificate: [][]byte{own.Raw}, PrivateKey: key, Leaf: own}}
	i.roots.AddCert(ca)
	_, err = i.revoked()
	return i, err
}

// Until is when the identity's own certificate expires.
func (i *Identity) Until() time.Time { return i.own.Leaf.NotAfter }

// revoked is what was revoked, by the file as it is now.
func (i *Identity) revoked() (*x509.RevocationList, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	info, err := os.Stat(i.crl)
	if i.may && i.list == nil && errors.Is(err, fs.ErrNotExist) { // it may come later, and may not go then
		return &x509.RevocationList{}, nil
	}
	if err != nil {
		return nil, err
	}
	if i.list == nil || !info.ModTime().Equal(i.read) {
		if i.list, err = readList(i.crl, i.ca); err != nil {
			return nil, err
		}
		i.read = info.ModTime()
	}
	return i.list, nil
}

// Good refuses a certificate that isn't good now. host, if it isn't "", is who was called.
func (i *Identity) Good(cert *x509.Certificate, host string) (Holder, error) {
	if err := i.issued(cert, host); err != nil {
		return Holder{}, fmt.Errorf("%w: %w", ErrNobody, err)
	}
	list, err := i.revoked()
	if err != nil {
		return Holder{}, fmt.Errorf("%w: what was revoked can't be read: %w", ErrNobody, err)
	}
	if contains(list, cert) {
		return Holder{}, ErrRevoked
	}
	return Who(cert)
}

// issued refuses a certificate that the authority didn't issue, or that isn't good at this time. The signature doesn't
// change, and is checked once.
func (i *Identity) issued(cert *x509.Certificate, host string) error {
	digest := sha256.Sum256(cert.Raw)
	i.mu.Lock()
	sure := i.sure[digest]
	i.mu.Unlock()
	now := time.Now()
	if sure && host == "" && now.After(cert.NotBefore) && now.Before(cert.NotAfter) && now.Before(i.ca.NotAfter) {
		return nil
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: i.roots, DNSName: host, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.sure == nil || len(i.sure) >= mostSure {
		i.sure = map[[sha256.Size]byte]bool{}
	}
	i.sure[digest] = true
	return nil
}

// Config is for one end of a connection: other is what the other end has to be, an agent or who asks. host is who was
// called, "" where nobody was.
func (i *Identity) Config(other func(Holder) error, host string) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{i.own},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // VerifyConnection does it, at both ends alike
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return ErrNobody
			}
			who, err := i.Good(s.PeerCertificates[0], host)
			if err != nil {
				return err
			}
			return other(who)
		},
	}
}

// Serving is for a server that who has no certificate may call as well, and be known otherwise. A certificate that is
// shown must be a good one, of who asks.
func (i *Identity) Serving() *tls.Config {
	c := i.Config(nil, "")
	c.ClientAuth = tls.RequestClientCert
	c.NextProtos = []string{"http/1.1"}
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return nil
		}
		who, err := i.Good(s.PeerCertificates[0], "")
		if err != nil {
			return err
		}
		return IsAsker(who)
	}
	return c
}

// IsAgent refuses who is no agent.
func IsAgent(h Holder) error {
	if h.Kind != Agent {
		return fmt.Errorf("%w: %s is no agent", ErrNobody, h.Name)
	}
	return nil
}

// IsAsker refuses an agent.
func IsAsker(h Holder) error {
	if h.Kind == Agent {
		return fmt.Errorf("%w: %s is an agent, and none that asks", ErrNobody, h.Name)
	}
	return nil
}

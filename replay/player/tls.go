//go:build linux && amd64

package player

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"regexp"
	"sync"
	"time"

	"ri/record/streams"
)

// authority signs certificates for the servers that the program dials. Its key never leaves this process, and only the
// program is told to trust it.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	at   time.Time // of the recording: certificates are valid then

	mu     sync.Mutex
	serial int64
	made   map[string]*tls.Certificate

	ofClients *tls.Certificate
}

// authorityPath is where the program finds whom to trust (SSL_CERT_FILE of crypto/x509).
const authorityPath = "/run/ri/authority.pem"

// validity is for how long certificates are valid, before and after the recording.
const validity = 5 * 365 * 24 * time.Hour

func newAuthority(at time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{key: key, at: at, serial: 1, made: map[string]*tls.Certificate{}}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ri replay"},
		NotBefore: at.Add(-validity), NotAfter: at.Add(validity), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	a.cert, err = x509.ParseCertificate(der)
	return a, err
}

// pem is the authority's certificate.
func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// certificate is for a name, or for an address where the client doesn't say a name.
func (a *authority) certificate(name string, address netip.Addr) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := name + " " + address.String()
	if c := a.made[id]; c != nil {
		return c, nil
	}
	a.serial++
	template := &x509.Certificate{SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name},
		NotBefore: a.at.Add(-validity), NotAfter: a.at.Add(validity), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{address.AsSlice()}}
	if name != "" {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, a.key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: a.key}
	a.made[id] = c
	return c, nil
}

// handshakeLimit ends a handshake that the other end doesn't go on with.
const handshakeLimit = 30 * time.Second

// server is our end of a connection that the program dialled with TLS.
func (a *authority) server(raw net.Conn, protocols []string) (net.Conn, error) {
	address, _ := netip.ParseAddrPort(raw.LocalAddr().String())
	c := tls.Server(raw, &tls.Config{NextProtos: protocols,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return a.certificate(hello.ServerName, address.Addr().Unmap())
		}})
	return shaken(c)
}

// client is our end of a connection with TLS to the program, whose certificate is its own affair: it is the program
// that is looked at. It may have several, and choose by the name that it is asked for.
// Whom it asks for a certificate has one of the authority's, if it was told to trust that.
func (p *player) client(raw net.Conn, name string, protocols []string) (net.Conn, error) {
	return shaken(tls.Client(raw, &tls.Config{InsecureSkipVerify: true, ServerName: name, NextProtos: protocols,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(p.opt.Trust) > 0 {
				return p.authority.client(p.opt.ClientCert)
			}
			p.count("connections on which the program asked for a client's certificate, and got none (--trust FILE)", 1)
			return &tls.Certificate{}, nil
		}}))
}

// client is a certificate with the names of another one, if there is one.
func (a *authority) client(names []byte) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ofClients != nil {
		return a.ofClients, nil
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "ri replay client"}}
	if names != nil {
		like, err := x509.ParseCertificate(names)
		if err != nil {
			return nil, err
		}
		template = &x509.Certificate{RawSubject: like.RawSubject, DNSNames: like.DNSNames, IPAddresses: like.IPAddresses,
			EmailAddresses: like.EmailAddresses, URIs: like.URIs}
	}
	a.serial++
	template.SerialNumber, template.KeyUsage = big.NewInt(a.serial), x509.KeyUsageDigitalSignature
	template.NotBefore, template.NotAfter = a.at.Add(-validity), a.at.Add(validity)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, a.key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	a.ofClients = &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: a.key}
	return a.ofClients, nil
}

// trusting is what a file has in it that the program reads the authorities from which it trusts, with ours.
func (a *authority) trusting(content []byte) []byte {
	return append(append(bytes.Clone(content), '\n'), a.pem()...)
}

// hostField is what HTTP has of the name that was asked for.
var hostField = regexp.MustCompile(`(?im)^(?:host|:authority):[ \t]*([^\s/]+?)(?::\d+)?[ \t]*\r?$`)

// hosts finds the names that clients asked for on connections with TLS: those of their first requests, as the
// handshakes aren't in the recording.
func (p *plan) hosts() {
	for i := range p.events {
		e := &p.events[i]
		id := e.Conn
		if by, ok := p.carried[id]; ok {
			id = by
		}
		c := p.conns[id]
		if e.Kind != streams.In || c == nil || c.dialled || !c.secure || c.host != "" {
			continue
		}
		if found := hostField.FindSubmatch(e.Data[:min(len(e.Data), mostRead)]); found != nil {
			c.host = string(found[1])
		}
	}
	// Who asked for nothing asked for what others did there.
	at := map[string]string{}
	for _, c := range p.order {
		if c.host != "" && at[c.local] == "" {
			at[c.local] = c.host
		}
	}
	for _, c := range p.order {
		if c.secure && !c.dialled && c.host == "" {
			c.host = at[c.local]
		}
	}
}

func shaken(c *tls.Conn) (net.Conn, error) {
	c.SetDeadline(time.Now().Add(handshakeLimit))
	if err := c.Handshake(); err != nil {
		c.NetConn().Close()
		return nil, err
	}
	return c, c.SetDeadline(time.Time{})
}

// protocols are those that connections with TLS agreed on, by what was said in them.
func (p *plan) protocols(conns []*conn) []string {
	with := 0
	for _, c := range conns {
		if p.carriers[c.id] != nil {
			with++
		}
	}
	switch with {
	case 0:
		return nil
	case len(conns):
		return []string{"h2"}
	}
	return []string{"h2", "http/1.1"}
}

// dialsSecure tells that the program dialled somebody with TLS.
func (p *plan) dialsSecure() bool {
	for _, c := range p.order {
		if c.dialled && c.secure {
			return true
		}
	}
	return false
}

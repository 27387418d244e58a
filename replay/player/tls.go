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
// that is looked at.
func client(raw net.Conn, protocols []string) (net.Conn, error) {
	return shaken(tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}))
}

func shaken(c *tls.Conn) (net.Conn, error) {
	c.SetDeadline(time.Now().Add(handshakeLimit))
	if err := c.Handshake(); err != nil {
		c.NetConn().Close()
		return nil, err
	}
	return c, c.SetDeadline(time.Time{})
}

// preface is what HTTP/2 begins with (RFC 9113, 3.4).
var preface = []byte("PRI * HTTP/2.0")

// protocols are those that a connection with TLS agreed on, by what was said first in it.
func (p *plan) protocols(c *conn) []string {
	for i := c.opened; i < len(p.events); i++ {
		e := &p.events[i]
		if e.Conn != c.id || !e.TLS || e.Size == 0 || c.dialled != (e.Kind == streams.Out) {
			continue
		}
		if bytes.HasPrefix(e.Data, preface) {
			return []string{"h2"}
		}
		break
	}
	return nil
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

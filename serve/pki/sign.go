package pki

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// ErrForged: a signature isn't of who is said to have signed, or of something else.
var ErrForged = errors.New("the signature is not good")

// Sign signs a text with one's own key: for what travels by hands that aren't trusted.
func (i *Identity) Sign(text []byte) ([]byte, error) {
	signer, ok := i.own.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key can't sign")
	}
	sum := sha256.Sum256(text)
	return signer.Sign(rand.Reader, sum[:], crypto.SHA256)
}

// Certificate is one's own, as it travels beside a signature.
func (i *Identity) Certificate() []byte { return i.own.Leaf.Raw }

// Hosts are the names and addresses by which one is called, as one's certificate has them.
func (i *Identity) Hosts() []string {
	out := slices.Clone(i.own.Leaf.DNSNames)
	for _, ip := range i.own.Leaf.IPAddresses {
		out = append(out, ip.String())
	}
	return out
}

// Own is the certificate with its key, for TLS.
func (i *Identity) Own() []tls.Certificate { return []tls.Certificate{i.own} }

// Signer says who signed a text, if its certificate is of this site's authority and good now.
func (i *Identity) Signer(certificate, text, signature []byte) (Holder, error) {
	cert, err := x509.ParseCertificate(certificate)
	if err != nil {
		return Holder{}, fmt.Errorf("%w: its certificate can't be read: %v", ErrForged, err)
	}
	who, err := i.Good(cert, "")
	if err != nil {
		return Holder{}, err
	}
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	sum := sha256.Sum256(text)
	if !ok || !ecdsa.VerifyASN1(key, sum[:], signature) {
		return Holder{}, fmt.Errorf("%w: %s did not sign this", ErrForged, who.Name)
	}
	return who, nil
}

// Seal encrypts a text to the holder of a certificate; it opens with the same context only. The certificate must have
// been found good before.
func Seal(certificate, text []byte, context string) ([]byte, error) {
	cert, err := x509.ParseCertificate(certificate)
	if err != nil {
		return nil, err
	}
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("nothing can be encrypted to this kind of certificate")
	}
	to, err := key.ECDH()
	if err != nil {
		return nil, err
	}
	once, err := to.Curve().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	shared, err := once.ECDH(to)
	if err != nil {
		return nil, err
	}
	own := once.PublicKey().Bytes()
	aead, err := sealing(shared, own, to.Bytes(), context)
	if err != nil {
		return nil, err
	}
	// The key is used once, so the nonce may be what it likes.
	return aead.Seal(own, make([]byte, aead.NonceSize()), text, nil), nil
}

// Unseal opens what was encrypted to one's own certificate.
func (i *Identity) Unseal(sealed []byte, context string) ([]byte, error) {
	key, ok := i.own.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("the key can't decrypt")
	}
	own, err := key.ECDH()
	if err != nil {
		return nil, err
	}
	size := len(own.PublicKey().Bytes())
	if len(sealed) < size {
		return nil, errors.New("it is too short to be encrypted")
	}
	var from *ecdh.PublicKey
	if from, err = own.Curve().NewPublicKey(sealed[:size]); err != nil {
		return nil, err
	}
	shared, err := own.ECDH(from)
	if err != nil {
		return nil, err
	}
	aead, err := sealing(shared, sealed[:size], own.PublicKey().Bytes(), context)
	if err != nil {
		return nil, err
	}
	text, err := aead.Open(nil, make([]byte, aead.NonceSize()), sealed[size:], nil)
	if err != nil {
		return nil, errors.New("it isn't encrypted to this certificate, or was altered")
	}
	return text, nil
}

func sealing(shared, from, to []byte, context string) (cipher.AEAD, error) {
	salt := append(append([]byte{}, from...), to...)
	key, err := hkdf.Key(sha256.New, shared, salt, "ri seal 1 "+context, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

package pki

import (
	"errors"
	"testing"
	"time"
)

// What is signed is known to be its signer's, and what is sealed is opened by whom it is for, with its context.
func TestSignAndSeal(t *testing.T) {
	s := newSite(t)
	ann := s.identity(Wish{Name: "ann", Kind: "author", Life: time.Hour})
	db7 := s.identity(Wish{Name: "db7", Kind: Agent, Life: time.Hour})
	signature, err := ann.Sign([]byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	who, err := db7.Signer(ann.Certificate(), []byte("text"), signature)
	if err != nil || who.Name != "ann" || who.Kind != "author" {
		t.Errorf("%v, %v", who, err)
	}
	for name, err := range map[string]error{
		"another text":   second(db7.Signer(ann.Certificate(), []byte("Text"), signature)),
		"another signer": second(db7.Signer(db7.Certificate(), []byte("text"), signature)),
		"no certificate": second(db7.Signer([]byte("nothing"), []byte("text"), signature)),
		"no signature":   second(db7.Signer(ann.Certificate(), []byte("text"), nil)),
	} {
		if !errors.Is(err, ErrForged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	sealed, err := Seal(ann.Certificate(), []byte("secret"), "one")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := ann.Unseal(sealed, "one"); err != nil || string(text) != "secret" {
		t.Errorf("%q, %v", text, err)
	}
	altered := append([]byte{}, sealed...)
	altered[len(altered)-1] ^= 1
	for name, err := range map[string]error{
		"another context": secondOf(ann.Unseal(sealed, "two")), "another holder": secondOf(db7.Unseal(sealed, "one")),
		"altered": secondOf(ann.Unseal(altered, "one")), "cut": secondOf(ann.Unseal(sealed[:20], "one")),
		"nothing": secondOf(ann.Unseal(nil, "one")),
	} {
		if err == nil {
			t.Errorf("%s: it opens", name)
		}
	}
}

func second(_ Holder, err error) error   { return err }
func secondOf(_ []byte, err error) error { return err }

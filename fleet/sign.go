package fleet

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"ri/ovsdb"
	"ri/serve/pki"
)

// signed are the columns that a row's signature is over, in their order. What isn't among them may be written by
// whoever can write to the database, and nothing that matters depends on it.
var signed = map[string][]string{
	hostTable:   {"id", "name", "labels", "version", "methods", "boot", "since"},
	runTable:    {"id", "whole", "author", "created", "expires", "request", "hosts", "targets", "digest"},
	answerTable: {"id", "run", "host", "target", "state", "why", "code", "stopped", "pieces", "digest", "expires"},

	TenantTable:  {"id", "generation", "spec"},
	TokenTable:   {"id", "tenant", "created", "expires"},
	DeviceTable:  {"id", "generation", "spec"},
	TraceTable:   {"id", "tenant", "created", "spec"},
	EnabledTable: {"id", "generation", "expires", "spec", "commitment"},
	StateTable: {"id", "trace", "host", "name", "generation", "state", "why", "done", "targets", "hits", "matched",
		"ambiguous", "updated"},
	FlowTable: {"id", "trace", "generation", "host", "hash", "time"},
	HopTable:  {"id", "trace", "generation", "host", "flow", "side", "ambiguous", "time", "rows", "sealed"},
}

// signedAs stands in what is signed. It stays when tables are added, so that releases believe each other's rows.
const signedAs = "ri 1.0.0"

var errUnsigned = errors.New("it isn't signed")

// signedText is what is signed of a row.
func signedText(table string, r ovsdb.Row) ([]byte, error) {
	t := parsed().Tables[table]
	fields := []any{signedAs, table}
	for _, name := range signed[table] {
		d := r[name]
		d.Keys, d.Values = slices.Clone(d.Keys), slices.Clone(d.Values)
		d.Sort()
		fields = append(fields, name, d.JSON(t.Column(name).Type))
	}
	return json.Marshal(fields)
}

// sign puts a certificate and a signature into a row.
func sign(who *pki.Identity, table string, r ovsdb.Row) error {
	text, err := signedText(table, r)
	if err != nil {
		return err
	}
	s, err := who.Sign(text)
	if err != nil {
		return err
	}
	r["certificate"] = ovsdb.Scalar(base64.StdEncoding.EncodeToString(who.Certificate()))
	r["signature"] = ovsdb.Scalar(base64.StdEncoding.EncodeToString(s))
	return nil
}

// signer says who signed a row.
func signer(own *pki.Identity, table string, r ovsdb.Row) (who pki.Holder, certificate []byte, err error) {
	if r["signature"].Text() == "" {
		return who, nil, errUnsigned
	}
	certificate, err1 := base64.StdEncoding.DecodeString(r["certificate"].Text())
	s, err2 := base64.StdEncoding.DecodeString(r["signature"].Text())
	if err := errors.Join(err1, err2); err != nil {
		return who, nil, fmt.Errorf("%w: %v", pki.ErrForged, err)
	}
	text, err := signedText(table, r)
	if err != nil {
		return who, nil, err
	}
	who, err = own.Signer(certificate, text, s)
	return who, certificate, err
}

func digest(pieces ...[]byte) string {
	h := sha256.New()
	for _, p := range pieces {
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

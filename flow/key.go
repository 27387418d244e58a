package flow

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"ri/serve/pki"
)

// sealKey encrypts a hash key to an agent's certificate.
func sealKey(certificate []byte, key hashKey, id string) (string, error) {
	sealed, err := pki.Seal(certificate, key[:], "ri flow key "+id)
	return base64.StdEncoding.EncodeToString(sealed), err
}

// openKey decrypts a hash key, and holds it against what the enabling says of it: anybody can encrypt to an agent.
func openKey(own *pki.Identity, sealed, id, commitment string) (key hashKey, err error) {
	data, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return key, err
	}
	text, err := own.Unseal(data, "ri flow key "+id)
	if err != nil {
		return key, err
	}
	if len(text) != keySize {
		return key, errors.New("it is no key")
	}
	key = hashKey(text)
	if key.commitment() != commitment {
		return key, fmt.Errorf("%w: it is another key than the enabling says", pki.ErrForged)
	}
	return key, nil
}

// derive is a key for another use.
func (k hashKey) derive(label string) [keySize]byte {
	h := hmac.New(sha256.New, k[:])
	h.Write([]byte("ri flow " + label))
	return [keySize]byte(h.Sum(nil))
}

// hash is the keyed hash of a flow's key, as it is published.
func (k hashKey) hash(text string) string {
	h := hmac.New(sha256.New, k[:])
	h.Write([]byte("ri flow hash "))
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// keyText joins the values of a key's parts so that no two lists of values give one text. A value that isn't there
// leaves the flow without a key.
func keyText(parts []string, values map[string]any) (string, bool) {
	var b strings.Builder
	for _, name := range parts {
		text, ok := plain(values[name])
		if !ok {
			return "", false
		}
		b.WriteString(strconv.Itoa(len(text)))
		b.WriteByte(':')
		b.WriteString(text)
	}
	return b.String(), len(parts) > 0
}

// cutText is in what comes of a value that is longer than what is captured of one.
var cutText = regexp.MustCompile(`/\* (\.\.\.|…) |\{\.\.\.( /\*|\})`)

// plain is a single value as text: one side may have as a number what the other has as text. Of a
// text that was cut it is none: others begin like it.
func plain(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, !cutText.MatchString(v)
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	case map[string]any:
		if text, ok := v["$b64"].(string); ok && len(v) == 1 {
			return "b64 " + text, true
		}
	}
	return "", false
}

// Redactor makes what is shown in the place of a text.
type Redactor func(text string) string

// shown is a value as whoever reads the log sees it. Single numbers and truths are kept, texts become tokens, and of
// what is made of several nothing is shown: a list of numbers may be a text. clear: it is shown as it is.
func shown(v any, clear bool, redact Redactor) any {
	if clear {
		return v
	}
	switch v := v.(type) {
	case nil, json.Number, bool:
		return v
	case string:
		return redact(v)
	case map[string]any:
		if _, missing := v["$missing"]; missing && len(v) == 1 {
			return map[string]any{"$missing": "not captured"}
		}
		if text, ok := v["$b64"].(string); ok && len(v) == 1 {
			return redact(text)
		}
	}
	return map[string]any{"$redacted": "more than a single value"}
}

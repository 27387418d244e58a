package secrets

import (
	"slices"
	"strings"
	"unicode"
)

// Names of secrets. A name has words: DB_PASS, dbPass and db-pass have two. One of these among them makes the name a
// secret's, in the singular or the plural.
var words = []string{
	"password", "passwd", "passphrase", "passcode", "pass", "pwd", "pw",
	"secret", "token", "tok", "key", "credential", "cred", "private", "priv", "pem",
	"auth", "authn", "oauth", "authorization", "authentication", "bearer", "jwt", "pat", "otp", "totp", "pin",
	"cookie", "session", "sid", "csrf", "xsrf", "nonce",
	"dsn", "webhook", "seed", "salt", "pepper", "mnemonic", "entropy", "signature", "signing", "hmac", "sas",
	"card", "cvv", "cvc", "iban", "ssn", "sk",
}

// parts make a name a secret's wherever they stand in a word: nobody means anything else by them.
var parts = []string{
	"passw", "pswd", "psswd", "passphrase", "passcode", "accesscode", "backupcode", "recoverycode", "kennwort",
	"secret", "token", "credential", "apikey", "privatekey", "accesskey",
	"signingkey", "authoriz", "authentic", "oauth",
	"cookie", "session", "webhook", "mnemonic", "connectionstring", "connstr", "creditcard", "cardnumber",
	"kubeconfig", "dockerconfig",
}

// innocent are words that such a part stands in, and that mean something else. What stands beside them counts.
var innocent = strings.NewReplacer("tokeniz", "-", "tokenis", "-", "detoken", "-", "secretar", "-", "obsession", "-",
	"possession", "-")

// ends make a name a secret's at the end of a word: DBPASS, GITHUBPAT, mysqldsn. The words that end so and mean
// something else are excepted.
var ends = map[string][]string{
	"pass": {"bypass", "compass", "surpass", "trespass", "overpass", "underpass"},
	"pwd":  nil,
	"key": {"monkey", "donkey", "turkey", "hotkey", "jockey", "hockey", "whiskey", "flunkey", "shortcutkey", "turnkey",
		"lackey", "mickey", "hickey", "rickey"},
	"pat":   {"compat", "spat"},
	"dsn":   nil,
	"authz": nil,
	"seed":  {"aniseed", "linseed"},
	"salt":  {"basalt", "cobalt"},
	"auth":  nil,
	"card":  {"discard", "wildcard", "postcard", "scorecard", "placard", "cardcard"},
	"ssn":   nil,
	"jwt":   nil,
	"cvv":   nil,
}

// fingerprints are words of names whose values look like keys, and identify something that is no secret.
var fingerprints = []string{"revision", "commit", "sha", "digest", "checksum", "hash", "etag", "fingerprint", "uuid",
	"guid", "id", "build", "version"}

// fingerprint tells whether what a name stands for may look like a key.
func fingerprint(name string) bool {
	return slices.ContainsFunc(split(name), func(w string) bool { return slices.Contains(fingerprints, w) })
}

// harmless are whole names that have one of those words, and are known to hold none. PWD is the working directory.
var harmless = []string{"pwd", "oldpwd"}

// Name tells whether a name is a secret's. Case doesn't count, nor what separates words.
func Name(name string) bool {
	if slices.Contains(harmless, strings.ToLower(name)) {
		return false
	}
	for _, w := range split(name) {
		if slices.Contains(words, w) || slices.Contains(words, strings.TrimSuffix(w, "s")) {
			return true
		}
	}
	// Words may be glued (DBPASS), or split where they aren't two (PassWord), so the parts are looked for in what is
	// between separators, too.
	for _, piece := range strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) }) {
		if contains(piece) {
			return true
		}
	}
	return contains(strings.Join(split(name), ""))
}

func contains(piece string) bool {
	piece = innocent.Replace(piece)
	for _, p := range parts {
		if strings.Contains(piece, p) {
			return true
		}
	}
	for end, but := range ends {
		for _, one := range []string{piece, strings.TrimSuffix(piece, "s")} { // in the plural, too
			if strings.HasSuffix(one, end) &&
				!slices.ContainsFunc(but, func(b string) bool { return strings.HasSuffix(one, b) }) {
				return true
			}
		}
	}
	return false
}

// Words gives the words of a name in lower case: DB_PASS, dbPass and db-pass have two.
func Words(name string) []string { return split(name) }

// split gives the words of a name in lower case: separated by anything that is no letter, or by a capital. Of several
// capitals the last begins a word if a small letter follows: "APIKey" has "api" and "key".
func split(name string) (out []string) {
	letters := []rune(name)
	from := -1
	end := func(i int) {
		if from >= 0 && i > from {
			out = append(out, strings.ToLower(string(letters[from:i])))
		}
		from = -1
	}
	for i, r := range letters {
		switch {
		case !unicode.IsLetter(r):
			end(i)
			continue
		case from >= 0 && unicode.IsUpper(r) &&
			(!unicode.IsUpper(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1])):
			end(i)
		}
		if from < 0 {
			from = i
		}
	}
	end(len(letters))
	return out
}

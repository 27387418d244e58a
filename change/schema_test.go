package change

import "testing"

// versions are the checksums of the schema's versions. A changed schema needs a new line here, and so a new version.
var versions = map[string]string{
	"1.0.0": "226868379 1924",
	"1.1.0": "3754742612 1966", // Change.before_text: a string can be put back when its bytes are gone
	"1.2.0": "1738760827 2002", // Transaction.label: what many made together is found again
}

func TestSchemaVersion(t *testing.T) {
	s, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if versions[s.Version] != s.Cksum {
		t.Errorf("version %s of the journal's schema has the checksum %s, not %s: a changed schema gets a new version",
			s.Version, versions[s.Version], s.Cksum)
	}
}

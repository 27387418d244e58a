package flow

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"ri/fleet"
	"ri/ovsdb"
	"ri/serve/pki"
	"ri/serve/request"
)

// tables are those that requests need.
var tables = []string{fleet.TenantTable, fleet.TokenTable, fleet.DeviceTable, fleet.TraceTable, fleet.EnabledTable,
	fleet.KeyTable, fleet.StateTable, fleet.FlowTable, fleet.HopTable}

// keySize is of the hash key of an enabling, in bytes.
const keySize = 32

// hashKey is by what flows' keys are hashed, another one for each enabling.
type hashKey [keySize]byte

func newHashKey() (k hashKey) {
	rand.Read(k[:])
	return k
}

// commitment is what an enabling says of its hash key, so that nobody can slip in another.
func (k hashKey) commitment() string {
	sum := sha256.Sum256(append([]byte("ri flow key "), k[:]...))
	return hex.EncodeToString(sum[:])
}

// Kinds of who may sign what.
var (
	operators = []string{request.Operator.String()}
	enablers  = []string{request.Operator.String(), pki.Tracer}
	agents    = []string{pki.Agent}
)

// signedBy refuses a row that none of some kinds signed.
func signedBy(own *pki.Identity, table string, r ovsdb.Row, kinds []string) (pki.Holder, []byte, error) {
	if own == nil {
		return pki.Holder{}, nil, errors.New("who has no certificate can't know who wrote it (--tls FILE)")
	}
	who, certificate, err := fleet.Signer(own, table, r)
	if err != nil {
		return who, nil, err
	}
	for _, k := range kinds {
		if who.Kind == k {
			return who, certificate, nil
		}
	}
	return who, nil, fmt.Errorf("%w: %s signed it, who is %s, and it takes one who is %s", pki.ErrForged, who.Name,
		who.Kind, kinds[0])
}

// definition makes the row of a tenant or a device.
func definition(own *pki.Identity, table, name string, generation int64, what any) (ovsdb.Row, error) {
	text, err := json.Marshal(what)
	if err != nil {
		return nil, err
	}
	if len(text) > mostSpec {
		return nil, invalid("%s: it has %d bytes, %d at most", name, len(text), mostSpec)
	}
	r := fleet.Row("id", name, "generation", generation, "spec", ovsdb.CleanString(string(text)), "certificate", "",
		"signature", "")
	return r, fleet.Sign(own, table, r)
}

func readTenant(own *pki.Identity, r ovsdb.Row) (*Tenant, error) {
	if _, _, err := signedBy(own, fleet.TenantTable, r, operators); err != nil {
		return nil, err
	}
	t := &Tenant{}
	if err := json.Unmarshal([]byte(r["spec"].Text()), t); err != nil {
		return nil, err
	}
	if t.Name != r["id"].Text() {
		return nil, fmt.Errorf("%w: it is the row of %q, and says %q", pki.ErrForged, r["id"].Text(), t.Name)
	}
	return t, t.check()
}

func readDevice(own *pki.Identity, r ovsdb.Row) (*Device, error) {
	if _, _, err := signedBy(own, fleet.DeviceTable, r, operators); err != nil {
		return nil, err
	}
	d := &Device{}
	if err := json.Unmarshal([]byte(r["spec"].Text()), d); err != nil {
		return nil, err
	}
	if d.Name != r["id"].Text() {
		return nil, fmt.Errorf("%w: it is the row of %q, and says %q", pki.ErrForged, r["id"].Text(), d.Name)
	}
	return d, d.check()
}

// Trace is a request that was created.
type Trace struct {
	ID string `json:"id"`
	Request
	Created time.Time `json:"created"`
	Enabled bool      `json:"enabled"`
	// Unchecked is, in the answer to its making, why nobody could say whether its expressions fit the programs.
	Unchecked string `json:"unchecked,omitempty"`
}

func traceRow(own *pki.Identity, t *Trace) (ovsdb.Row, error) {
	text, err := json.Marshal(t.Request)
	if err != nil {
		return nil, err
	}
	r := fleet.Row("id", t.ID, "tenant", t.TenantID, "created", t.Created.UnixMilli(), "spec",
		ovsdb.CleanString(string(text)), "certificate", "", "signature", "")
	return r, fleet.Sign(own, fleet.TraceTable, r)
}

func readTrace(own *pki.Identity, r ovsdb.Row) (*Trace, error) {
	if _, _, err := signedBy(own, fleet.TraceTable, r, enablers); err != nil {
		return nil, err
	}
	t := &Trace{ID: r["id"].Text(), Created: time.UnixMilli(r["created"].Int()).UTC()}
	if err := json.Unmarshal([]byte(r["spec"].Text()), &t.Request); err != nil {
		return nil, err
	}
	if _, err := ovsdb.ParseUUID(t.ID); err != nil || t.TenantID != r["tenant"].Text() {
		return nil, fmt.Errorf("%w: it isn't the row of this request", pki.ErrForged)
	}
	return t, nil
}

// enabling is a request that is enabled, as its row has it.
type enabling struct {
	trace       string
	generation  int64
	expires     time.Time
	commitment  string
	request     *Request
	trial       []string // hosts that are asked whether its expressions fit; nil: it is meant
	certificate []byte   // whose who enabled it is
	by          pki.Holder
}

// enabledSpec is what an enabling says of its request.
type enabledSpec struct {
	*Request
	Trial []string `json:"trial,omitempty"`
}

func enabledRow(own *pki.Identity, t *Trace, generation int64, expires time.Time, key hashKey,
	trial []string) (ovsdb.Row, error) {
	text, err := json.Marshal(enabledSpec{&t.Request, trial})
	if err != nil {
		return nil, err
	}
	r := fleet.Row("id", t.ID, "generation", generation, "expires", expires.UnixMilli(), "spec",
		ovsdb.CleanString(string(text)), "commitment", key.commitment(), "certificate", "", "signature", "")
	return r, fleet.Sign(own, fleet.EnabledTable, r)
}

// Why an enabling isn't followed.
var (
	errReplay   = errors.New("replay: it was enabled anew, or ended, since")
	errOlderOne = errors.New("replay: it is older than a definition that was seen")
	errOver     = errors.New("expired")
	errClock    = errors.New("clock")
)

// readEnabling believes an enabling, as far as it goes without the device.
func readEnabling(own *pki.Identity, r ovsdb.Row, now time.Time) (*enabling, error) {
	who, certificate, err := signedBy(own, fleet.EnabledTable, r, enablers)
	if err != nil {
		return nil, err
	}
	e := &enabling{trace: r["id"].Text(), generation: r["generation"].Int(), commitment: r["commitment"].Text(),
		expires: time.UnixMilli(r["expires"].Int()), certificate: certificate, by: who, request: &Request{}}
	if _, err := ovsdb.ParseUUID(e.trace); err != nil {
		return nil, fmt.Errorf("its id is none: %w", err)
	}
	spec := enabledSpec{Request: e.request}
	if err := json.Unmarshal([]byte(r["spec"].Text()), &spec); err != nil {
		return nil, err
	}
	e.trial = spec.Trial
	made := time.UnixMilli(e.generation)
	switch {
	case !now.Before(e.expires):
		return nil, fmt.Errorf("%w at %s, and by this clock it is %s", errOver, e.expires.UTC().Format(time.RFC3339),
			now.UTC().Format(time.RFC3339))
	case made.Sub(now) > fleet.Skew:
		return nil, fmt.Errorf("%w: it was enabled at %s, and by this clock it is %s", errClock,
			made.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case e.expires.Sub(made) > MostExpiry+time.Minute:
		return nil, fmt.Errorf("it is good for more than %s", MostExpiry)
	}
	return e, nil
}

// keyID is of the row with a host's sealed key; what is sealed opens with the same only.
func keyID(trace string, generation int64, host string) string {
	return trace + "/" + strconv.FormatInt(generation, 10) + "/" + host
}

package flow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"ri/fleet"
)

// Tenant is whose flows are told apart from others'.
type Tenant struct {
	Name string `yaml:"name" json:"name"`
	// Certificates are the names of those who may act for it by a certificate instead of a token.
	Certificates []string `yaml:"certificates" json:"certificates,omitempty"`
	// TokensSince: tokens that were made before are refused, in milliseconds. It isn't defined in files.
	TokensSince int64 `yaml:"-" json:"tokensSince,omitempty"`
}

// Device is what can be traced, and by whom: an operator defines it.
type Device struct {
	Name string `yaml:"name" json:"name"`
	// Where has conditions over targets, as ri fleet targets --where; EgressWhere, those where flows leave, if they are
	// others.
	Where       []string `yaml:"where" json:"where"`
	EgressWhere []string `yaml:"egressWhere" json:"egressWhere,omitempty"`
	// Ingress and Egress are the functions where flows enter and leave, Steps those along the way that are logged.
	Ingress []string `yaml:"ingress" json:"ingress"`
	Egress  []string `yaml:"egress" json:"egress,omitempty"`
	Steps   []string `yaml:"steps" json:"steps,omitempty"`
	// Follow is what of a flow is logged: "call", what the goroutine passes that made the call, or "goroutines", also what
	// those pass that it started. Which tenant those serve nobody tests, so it is call where a tenant's predicate isn't
	// true.
	Follow string `yaml:"follow" json:"follow,omitempty"`
	// Paths are the Go expressions that may be shown, tested and used as a key; EgressPaths those where flows leave.
	Paths       []string `yaml:"paths" json:"paths"`
	EgressPaths []string `yaml:"egressPaths" json:"egressPaths,omitempty"`
	// Clear are those of them that are shown as they are; of all others texts become tokens.
	Clear []string `yaml:"clear" json:"clear,omitempty"`
	// Keys are those by which a flow is known again among all that leave there, also among other tenants'. Where there is
	// none of a request's, it takes a predicate of the tenant's for what leaves.
	Keys []Key `yaml:"keys" json:"keys,omitempty"`
	// Budget is what all its traces may cost a process, a share of a core.
	Budget  string            `yaml:"budget" json:"budget,omitempty"`
	Tenants map[string]Access `yaml:"tenants" json:"tenants"`
}

// Access is what a tenant may of a device.
type Access struct {
	// Predicate is a Go expression that holds of the tenant's flows only, or "true"; the kernel decides it first.
	Predicate       string `yaml:"predicate" json:"predicate"`
	EgressPredicate string `yaml:"egressPredicate" json:"egressPredicate,omitempty"`
	// Share is the tenant's of the device's budget.
	Share string `yaml:"share" json:"share,omitempty"`
}

// Key is by what a flow is known again where it leaves: Go expressions, or several with + between them.
type Key struct {
	// At is the function along the way that has what Ingress names, as where a message is sent on; "": where the flow
	// enters. What leaves may be sent on in turn.
	At      string `yaml:"at" json:"at,omitempty"`
	Ingress string `yaml:"ingress" json:"ingress"`
	Egress  string `yaml:"egress" json:"egress"`
	// Preset is the name of a key that is known, in the place of all that.
	Preset string `yaml:"preset" json:"preset,omitempty"`
}

// Request is what is to be traced.
type Request struct {
	TenantID        string   `json:"tenantId,omitempty"`
	Name            string   `json:"name,omitempty"`
	Device          string   `json:"device"`
	Condition       string   `json:"condition,omitempty"`
	MaxFlowsPerHost int      `json:"maxFlowsPerHost,omitempty"`
	Show            []string `json:"show,omitempty"`
	Key             *Key     `json:"key,omitempty"`
	Expires         string   `json:"expires,omitempty"` // how long after it was enabled, as 10m
}

// Limits of requests.
const (
	DefaultFlows  = 10
	MostFlows     = 10_000
	DefaultExpiry = 10 * time.Minute
	MostExpiry    = 4 * time.Hour
	leastExpiry   = time.Second
	// MostTraces is how many requests a tenant may have.
	MostTraces    = 100
	mostText      = 4096 // bytes of a condition, or of another text
	mostList      = 64
	mostSpec      = 64 << 10
	defaultBudget = 0.01
)

// Errors of requests.
var (
	// ErrInvalid: a request, or a definition, that can't be, and why.
	ErrInvalid = errors.New("can't be")
	// ErrNotFound: there is no such thing, or it is another tenant's.
	ErrNotFound = errors.New("not found")
	// ErrTooMany: a tenant has as many as it may.
	ErrTooMany = errors.New("too many")
)

func invalid(format string, args ...any) error {
	return &invalidError{fmt.Errorf(format, args...)}
}

type invalidError struct{ err error }

func (e *invalidError) Error() string        { return e.err.Error() }
func (e *invalidError) Unwrap() error        { return e.err }
func (e *invalidError) Is(target error) bool { return target == ErrInvalid }

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// CheckName refuses what is no name of a tenant or a device.
func CheckName(name string) error {
	if !nameForm.MatchString(name) {
		return invalid("%q is no name: letters, digits, and . _ -, 64 at most", name)
	}
	return nil
}

// ReadTenant reads a tenant's definition, as YAML.
func ReadTenant(text []byte) (*Tenant, error) {
	t := &Tenant{}
	if err := readYAML(text, t); err != nil {
		return nil, err
	}
	return t, t.check()
}

func (t *Tenant) check() error {
	if len(t.Certificates) > mostList {
		return invalid("certificates: %d names, %d at most", len(t.Certificates), mostList)
	}
	return CheckName(t.Name)
}

// ReadDevice reads a device's definition, as YAML.
func ReadDevice(text []byte) (*Device, error) {
	d := &Device{}
	if err := readYAML(text, d); err != nil {
		return nil, err
	}
	return d, d.check()
}

func readYAML(text []byte, into any) error {
	if len(text) > mostSpec {
		return invalid("it has %d bytes, %d at most", len(text), mostSpec)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		return invalid("%w", err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return invalid("it has more than one document")
	}
	return nil
}

// reserved are cells of a row that no expression may be called.
var reserved = []string{"flow", "what", "time", "nanotime", "goroutine", "func", "into", "started", "duration", "ended",
	"so_far", "probe", "undecided", "args", "results", "stack"}

func (d *Device) check() error {
	if err := CheckName(d.Name); err != nil {
		return err
	}
	for what, list := range map[string][]string{"where": d.Where, "egressWhere": d.EgressWhere, "ingress": d.Ingress,
		"egress": d.Egress, "steps": d.Steps, "paths": d.Paths, "egressPaths": d.EgressPaths, "clear": d.Clear} {
		if len(list) > mostList {
			return invalid("%s: it has %d entries, %d at most", what, len(list), mostList)
		}
		for _, one := range list {
			if strings.TrimSpace(one) == "" || len(one) > mostText {
				return invalid("%s: an entry is empty, or has more than %d bytes", what, mostText)
			}
		}
	}
	if d.Follow != "" && d.Follow != followCall && d.Follow != followGoroutines {
		return invalid("follow: %q is neither %s nor %s", d.Follow, followCall, followGoroutines)
	}
	if len(d.Ingress) == 0 {
		return invalid("ingress: it names no function where flows enter")
	}
	for _, name := range slices.Concat(d.Ingress, d.Egress, d.Steps) {
		if strings.HasPrefix(name, "-") || strings.Contains(name, ",") {
			return invalid("%q is no function's name", name)
		}
	}
	for _, where := range [][]string{d.Where, d.EgressWhere} {
		if _, err := fleet.Match(where, "host", nil, nil); err != nil {
			return invalid("where: %w", err)
		}
	}
	for _, list := range []*[]string{&d.Paths, &d.EgressPaths, &d.Clear} {
		for i, text := range *list {
			canonical, err := canonicalPath(text)
			if err != nil {
				return invalid("paths: %w", err)
			}
			if slices.Contains(reserved, canonical) {
				return invalid("paths: %s is what rows of traces have already", canonical)
			}
			(*list)[i] = canonical
		}
	}
	for _, path := range d.Clear {
		if !slices.Contains(d.Paths, path) && !slices.Contains(d.EgressPaths, path) {
			return invalid("clear: %s is none of the paths", path)
		}
	}
	if len(d.Keys) > mostList {
		return invalid("keys: it has %d entries, %d at most", len(d.Keys), mostList)
	}
	for i := range d.Keys {
		if err := d.Keys[i].expand(); err != nil {
			return err
		}
	}
	for i, k := range d.Keys {
		if k.Egress == "" {
			d.Keys[i].Egress = k.Ingress
		}
		if at := strings.ReplaceAll(k.At, "(*", ""); strings.HasPrefix(at, "-") || strings.ContainsAny(at, ",* ") ||
			len(at) > mostText {
			return invalid("keys: %q is no function's name", k.At)
		}
		if _, err := d.Keys[i].canonical(d); err != nil {
			return invalid("keys: %w", err)
		}
	}
	if _, err := parseShare(d.Budget, defaultBudget); err != nil {
		return invalid("budget: %w", err)
	}
	return d.checkTenants()
}

func (d *Device) checkTenants() error {
	if len(d.Tenants) == 0 {
		return invalid("tenants: nobody may use it")
	}
	sum := 0.0
	for _, name := range slices.Sorted(maps.Keys(d.Tenants)) {
		access := d.Tenants[name]
		if err := CheckName(name); err != nil {
			return err
		}
		if strings.TrimSpace(access.Predicate) == "" {
			return invalid("tenants: %s has no predicate, which tells its flows from others' (true: all flows are its own)",
				name)
		}
		for _, text := range []string{access.Predicate, access.EgressPredicate} {
			if text == "" {
				continue
			}
			if _, err := parse(text); err != nil {
				return invalid("tenants: the predicate of %s: %w", name, err)
			}
		}
		share, err := parseShare(access.Share, 1/float64(len(d.Tenants)))
		if err != nil {
			return invalid("tenants: the share of %s: %w", name, err)
		}
		sum += share
	}
	if sum > 1.0001 {
		return invalid("tenants: their shares are %.0f %% of the budget", 100*sum)
	}
	return nil
}

// parseShare reads a share: "1%", "0.5"; "": what is usual.
func parseShare(text string, usual float64) (float64, error) {
	if strings.TrimSpace(text) == "" {
		return usual, nil
	}
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f > 0 && f <= 1) {
		return 0, fmt.Errorf("%q is no share, such as 1%%", text)
	}
	return f, nil
}

// What of a flow is logged.
const (
	followCall       = "call"
	followGoroutines = "goroutines"
)

// goroutines tells whether what goroutines pass that a tenant's flow started is of the flow.
func (d *Device) goroutines(tenant string) bool {
	return d.Follow == followGoroutines || d.Follow == "" && d.Tenants[tenant].Predicate == "true"
}

// share is a tenant's part of the device's budget, in cores.
func (d *Device) share(tenant string) float64 {
	budget, _ := parseShare(d.Budget, defaultBudget) // it was checked
	share, _ := parseShare(d.Tenants[tenant].Share, 1/float64(max(len(d.Tenants), 1)))
	return budget * share
}

// ReadRequest reads a request as JSON. What it doesn't know is refused.
func ReadRequest(text []byte) (*Request, error) {
	r := &Request{}
	if err := strict(text, r); err != nil {
		return nil, err
	}
	return r, nil
}

// strict reads one JSON document without anything unknown.
func strict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more behind the JSON document")
	}
	return nil
}

// complete puts what is usual where nothing is said.
func (r *Request) complete() {
	if r.MaxFlowsPerHost == 0 {
		r.MaxFlowsPerHost = DefaultFlows
	}
	if r.Expires == "" {
		r.Expires = DefaultExpiry.String()
	}
	if r.Key == nil {
		return
	}
	if err := r.Key.expand(); err == nil && r.Key.Egress == "" { // what is wrong is said when it is checked
		r.Key.Egress = r.Key.Ingress
	}
}

// life is how long it is enabled.
func (r *Request) life() time.Duration {
	d, _ := time.ParseDuration(r.Expires)
	return d
}

// check holds a complete request to its device.
func (r *Request) check(d *Device) error {
	access, may := d.Tenants[r.TenantID]
	life, err := time.ParseDuration(r.Expires)
	switch {
	case !may || access.Predicate == "" || d.Name != r.Device:
		return invalid("device: you have no device %q", r.Device)
	case r.MaxFlowsPerHost < 1 || r.MaxFlowsPerHost > MostFlows:
		return invalid("maxFlowsPerHost: 1 to %d", MostFlows)
	case err != nil || life < leastExpiry || life > MostExpiry:
		return invalid("expires: %q is no time from %s to %s, such as 10m", r.Expires, leastExpiry, MostExpiry)
	case len(r.Show) > mostList:
		return invalid("show: it has %d expressions, %d at most", len(r.Show), mostList)
	case len(r.Name) > 200:
		return invalid("name: it has more than 200 bytes")
	}
	if r.Condition != "" {
		if _, err := checkCondition(r.Condition, d.Paths); err != nil {
			return invalid("condition: %w", err)
		}
	}
	for _, text := range r.Show {
		if _, err := checkShown(text, slices.Concat(d.Paths, d.EgressPaths)); err != nil {
			return invalid("show: %w", err)
		}
	}
	if r.Key == nil {
		return nil
	}
	if err := r.Key.expand(); err != nil {
		return err
	}
	key, err := r.Key.canonical(d)
	if err != nil {
		return invalid("key: %w", err)
	}
	if key.At != "" && !slices.Contains(d.Steps, key.At) &&
		!slices.ContainsFunc(d.Keys, func(k Key) bool { return k.At == key.At }) {
		return invalid("key: at: the device has no step %q", key.At)
	}
	own := access.Predicate == "true" || access.EgressPredicate != ""
	i := slices.IndexFunc(d.Keys, func(k Key) bool {
		has, err := k.canonical(d)
		return err == nil && has == key
	})
	switch {
	case own:
	case i >= 0 && d.Keys[i].Preset != "":
		return invalid("key: what %s reads is what clients say, or is of a connection that many share, so others' flows "+
			"could have the same where they leave: the device has to have an egressPredicate for %s", d.Keys[i].Preset,
			r.TenantID)
	case i < 0:
		return invalid("key: others' flows could have the same where they leave; the device's keys are %s", keyTexts(d.Keys))
	}
	return nil
}

// canonical is a key as it is compared with others.
func (k Key) canonical(d *Device) (Key, error) {
	in, err := keyParts(k.Ingress, d.keyPaths(ingress))
	if err != nil {
		return k, fmt.Errorf("where flows enter: %w", err)
	}
	out, err := keyParts(k.Egress, d.keyPaths(egress))
	if err != nil {
		return k, fmt.Errorf("where flows leave: %w", err)
	}
	if len(in) != len(out) {
		return k, fmt.Errorf("%q has %d parts and %q %d, so no two are the same", k.Ingress, len(in), k.Egress, len(out))
	}
	return Key{At: k.At, Ingress: strings.Join(in, " + "), Egress: strings.Join(out, " + ")}, nil
}

func keyTexts(keys []Key) string {
	if len(keys) == 0 {
		return "none"
	}
	var all []string
	for _, k := range keys {
		one := k.Ingress + " -> " + k.Egress
		if k.At != "" {
			one += " (at " + k.At + ")"
		}
		all = append(all, one)
	}
	return strings.Join(all, ", ")
}

func (d *Device) egressPaths() []string {
	if len(d.EgressPaths) > 0 {
		return d.EgressPaths
	}
	return d.Paths
}

func (d *Device) egressWhere() []string {
	if len(d.EgressWhere) > 0 {
		return d.EgressWhere
	}
	return d.Where
}

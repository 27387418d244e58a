package flow

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"ri/files"
	"ri/ovsdb"
	"ri/serve/pki"
)

// Requests are the requests of a fleet, as those know them who make them: a [Store], or a server of requests.
type Requests interface {
	Create(context.Context, *Request) (*Trace, error)
	List(ctx context.Context, tenant string) ([]*Trace, error)
	Find(ctx context.Context, begin string) (*Trace, error)
	Enable(ctx context.Context, tenant, id string) error
	Disable(ctx context.Context, tenant, id string) error
	Delete(ctx context.Context, tenant, id string) error
	Hosts(ctx context.Context, tenant, id string) ([]HostState, error)
	Flows(ctx context.Context, tenant, id string) ([]Seen, error)
}

var _, _ Requests = (*Store)(nil), (*Remote)(nil)

// Remote is a server of requests (ri serve --rest, --web), asked over HTTP.
type Remote struct {
	url    string
	token  string
	client *http.Client
}

// Limits of what is asked of a server.
const (
	remotePatience = time.Minute
	mostAnswer     = 256 << 20
)

// NewRemote is a server at a URL, who asks it by a token or, where that is "", by the certificate of own. The file ca
// has the authority that its certificate is of; "": own's, or the machine's.
func NewRemote(at, token, ca string, own *pki.Identity) (*Remote, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" ||
		u.RawQuery != "" || u.User != nil {
		return nil, invalid("%q is no URL of a server of requests, such as https://desk:8443", at)
	}
	r := &Remote{url: u.Scheme + "://" + u.Host, token: token}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, invalid("%s: who listens on the way would read what is asked, and by whose token: https, or an "+
			"address of this machine", r.url)
	}
	isServer := func(h pki.Holder) error {
		if h.Kind != pki.Tracer {
			return fmt.Errorf("%s is %s, and no server of requests", h.Name, h.Kind)
		}
		return nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, VerifyConnection: func(c tls.ConnectionState) error {
		who, err := pki.Who(c.PeerCertificates[0])
		if err != nil {
			return err
		}
		return isServer(who)
	}}
	switch {
	case ca != "":
		text, err := files.Read(ca, 1<<20)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, invalid("%s: it has no certificate (pki/ca.pem is the authority's)", ca)
		}
		if own != nil && token == "" {
			config.Certificates = own.Own()
		}
	case own != nil: // what was revoked is known, too
		config = own.Config(isServer, u.Hostname())
		if token != "" {
			config.Certificates = nil
		}
	}
	if token == "" && (own == nil || u.Scheme == "http") {
		return nil, invalid("who asks %s? RI_TOKEN is a tenant's token; over https a certificate does (--tls FILE)", r.url)
	}
	r.client = &http.Client{Timeout: remotePatience, Transport: &http.Transport{TLSClientConfig: config},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("it sends elsewhere, which no server of requests does")
		}}
	return r, nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || host == "localhost"
}

// do asks, and reads what is answered into into, if it isn't nil.
func (r *Remote) do(ctx context.Context, verb, path string, body, into any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	q, err := http.NewRequestWithContext(ctx, verb, r.url+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/json")
	if r.token != "" {
		q.Header.Set("Authorization", "Bearer "+r.token)
	}
	a, err := r.client.Do(q)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err
		}
		return fmt.Errorf("%s: %w", r.url, err)
	}
	defer a.Body.Close()
	got, err := io.ReadAll(io.LimitReader(a.Body, mostAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", r.url, err)
	case len(got) > mostAnswer:
		return fmt.Errorf("%s: it answers with more than %d MiB", r.url, mostAnswer>>20)
	case a.StatusCode >= 300:
		return r.refused(a, got)
	case into != nil:
		if err := json.Unmarshal(got, into); err != nil {
			return fmt.Errorf("%s: it is no server of requests: %w", r.url, err)
		}
	}
	return nil
}

func (r *Remote) refused(a *http.Response, text []byte) error {
	var said struct{ Error string }
	if err := json.Unmarshal(text, &said); err != nil || said.Error == "" {
		said.Error = a.Status
	}
	switch a.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%w: %s", ErrNotFound, said.Error)
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		return invalid("%s", said.Error)
	case http.StatusTooManyRequests:
		return fmt.Errorf("%w: %s", ErrTooMany, said.Error)
	}
	return fmt.Errorf("%s: %s", r.url, said.Error)
}

func ofTrace(id, tail string) string { return "/traces/" + url.PathEscape(id) + tail }

// Create implements Requests.
func (r *Remote) Create(ctx context.Context, q *Request) (*Trace, error) {
	t := &Trace{}
	return t, r.do(ctx, http.MethodPost, "/traces", q, t)
}

// List implements Requests.
func (r *Remote) List(ctx context.Context, tenant string) (all []*Trace, err error) {
	path := "/traces"
	if tenant != "" {
		path += "?tenant_id=" + url.QueryEscape(tenant)
	}
	return all, r.do(ctx, http.MethodGet, path, nil, &all)
}

// Find implements Requests.
func (r *Remote) Find(ctx context.Context, begin string) (*Trace, error) {
	all, err := r.List(ctx, "")
	if err != nil {
		return nil, err
	}
	return find(all, begin)
}

// find gives the one of which the id begins so.
func find(all []*Trace, begin string) (*Trace, error) {
	var found []*Trace
	for _, t := range all {
		if begin != "" && strings.HasPrefix(t.ID, begin) {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		if _, err := ovsdb.ParseUUID(begin); err == nil { // whoever wrote it isn't believed any more, perhaps
			return &Trace{ID: begin}, nil
		}
		return nil, fmt.Errorf("%w: no request has an id that begins with %q (ri fleet trace list lists them)", ErrNotFound,
			begin)
	case 1:
		return found[0], nil
	}
	return nil, invalid("%d requests have ids that begin with %q: give more of it", len(found), begin)
}

// Enable implements Requests.
func (r *Remote) Enable(ctx context.Context, _, id string) error {
	return r.do(ctx, http.MethodPut, ofTrace(id, "/enabled"), nil, nil)
}

// Disable implements Requests.
func (r *Remote) Disable(ctx context.Context, _, id string) error {
	return r.do(ctx, http.MethodDelete, ofTrace(id, "/enabled"), nil, nil)
}

// Delete implements Requests.
func (r *Remote) Delete(ctx context.Context, _, id string) error {
	return r.do(ctx, http.MethodDelete, ofTrace(id, ""), nil, nil)
}

// Hosts implements Requests.
func (r *Remote) Hosts(ctx context.Context, _, id string) (all []HostState, err error) {
	return all, r.do(ctx, http.MethodGet, ofTrace(id, "/hosts"), nil, &all)
}

// Flows implements Requests.
func (r *Remote) Flows(ctx context.Context, _, id string) (all []Seen, err error) {
	return all, r.do(ctx, http.MethodGet, ofTrace(id, "/flows"), nil, &all)
}

package flow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"

	"ri/serve/method"
	"ri/serve/pki"
)

// Server is the requests over HTTP.
type Server struct {
	Store   *Store
	Methods []method.Method
	Say     func(string)
	// By says for whom somebody asks, "" being all; nil: [Server.Who]. Who is not known is [Nobody].
	By func(*http.Request) (tenant string, err error)
}

// mostBody is how many bytes a request over HTTP may have.
const mostBody = 64 << 10

// Serve serves until the context ends.
func (s *Server) Serve(ctx context.Context) error {
	own := s.Store.Identity
	for _, m := range s.Methods {
		switch {
		case !m.Passive:
			return fmt.Errorf("--rest %s: it is called and calls nobody: punix:FILE, pssl:[PORT][:IP] or ptcp:[PORT][:IP]",
				m)
		case !m.TLS && !m.Loopback():
			return fmt.Errorf("--rest %s: who listens to the network would read tokens: use pssl, or an address of this "+
				"machine (ptcp:%s:127.0.0.1)", m, method.DefaultPort)
		}
	}
	if own == nil || own.Kind != pki.Tracer {
		return errors.New("--rest: what it enables is signed by a certificate that can do nothing else: --tls FILE, " +
			"which ri pki issue NAME --role tracer makes")
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := s.Store.Open(ctx); err != nil {
		return err
	}
	go s.Store.Keep(ctx)
	up := func(m method.Method, _ net.Addr) { s.Say(fmt.Sprintf("requests for traces: listening at %s", m)) }
	return method.ServeHTTP(ctx, s.Methods, own.Serving(), s.Handler(), up, s.Say)
}

// route is what is done for a path.
type route struct {
	path    string // as ServeMux has it
	methods map[string]operation
}

// operation is what a method of a path does: it gives the status, and what is answered as JSON; nil: nothing.
type operation struct {
	open bool // to anybody
	do   func(s *Server, c *call) (int, any, error)
}

// call is one request over HTTP.
type call struct {
	*http.Request
	tenant string // "": all
	header http.Header
}

// routes are all paths; openapi.json says the same, and a test holds the two against each other.
var routes = []route{
	{"/openapi.json", map[string]operation{http.MethodGet: {true, func(*Server, *call) (int, any, error) {
		return http.StatusOK, json.RawMessage(openAPI), nil
	}}}},
	{"/devices", map[string]operation{http.MethodGet: {false, (*Server).devices}}},
	{"/traces", map[string]operation{http.MethodGet: {false, (*Server).list}, http.MethodPost: {false, (*Server).create}}},
	{"/traces/{id}", map[string]operation{http.MethodGet: {false, func(s *Server, c *call) (int, any, error) {
		return ok(s.Store.Get(c.Context(), c.tenant, c.PathValue("id")))
	}}, http.MethodDelete: {false, func(s *Server, c *call) (int, any, error) {
		return none(s.Store.Delete(c.Context(), c.tenant, c.PathValue("id")))
	}}}},
	{"/traces/{id}/enabled", map[string]operation{http.MethodGet: {false, func(s *Server, c *call) (int, any, error) {
		return ok(s.Store.Enabled(c.Context(), c.tenant, c.PathValue("id")))
	}}, http.MethodPut: {false, func(s *Server, c *call) (int, any, error) {
		return none(s.Store.Enable(c.Context(), c.tenant, c.PathValue("id")))
	}}, http.MethodDelete: {false, func(s *Server, c *call) (int, any, error) {
		return none(s.Store.Disable(c.Context(), c.tenant, c.PathValue("id")))
	}}}},
	{"/traces/{id}/hosts", map[string]operation{http.MethodGet: {false, func(s *Server, c *call) (int, any, error) {
		return ok(s.Store.Hosts(c.Context(), c.tenant, c.PathValue("id")))
	}}}},
	{"/traces/{id}/flows", map[string]operation{http.MethodGet: {false, func(s *Server, c *call) (int, any, error) {
		return ok(s.Store.Flows(c.Context(), c.tenant, c.PathValue("id")))
	}}}},
}

func ok[T any](v T, err error) (int, any, error) { return http.StatusOK, v, err }

func none(err error) (int, any, error) { return http.StatusNoContent, nil, err }

// Handler answers requests over HTTP.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.path, func(w http.ResponseWriter, h *http.Request) { s.route(w, h, r) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusNotFound, problem("there is nothing here; /openapi.json says what there is"))
	})
	return mux
}

func problem(text string) any { return map[string]string{"error": text} }

func answer(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if v == nil {
		w.WriteHeader(status)
		return
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		status = http.StatusServiceUnavailable
		text.Reset()
		text.WriteString(`{"error": "the answer can't be written"}` + "\n")
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes())
}

// route finds out who asks, and does it.
func (s *Server) route(w http.ResponseWriter, h *http.Request, r route) {
	verb := h.Method
	if verb == http.MethodHead { // the same, of which net/http leaves out the body
		verb = http.MethodGet
	}
	op, there := r.methods[verb]
	if !there {
		var allowed []string
		for m := range r.methods {
			allowed = append(allowed, m)
			if m == http.MethodGet {
				allowed = append(allowed, http.MethodHead)
			}
		}
		slices.Sort(allowed)
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		answer(w, http.StatusMethodNotAllowed, problem(h.Method+" can't be done to it: "+strings.Join(allowed, ", ")))
		return
	}
	c := &call{Request: h, header: w.Header()}
	if !op.open {
		by := s.By
		if by == nil {
			by = s.Who
		}
		tenant, err := by(h)
		switch {
		case IsNobody(err):
			w.Header().Set("WWW-Authenticate", `Bearer realm="ri"`)
			answer(w, http.StatusUnauthorized, problem(err.Error()))
			return
		case err != nil:
			status, v := s.failed(err)
			answer(w, status, v)
			return
		}
		c.tenant = tenant
	}
	status, v, err := op.do(s, c)
	if err != nil {
		status, v = s.failed(err)
	}
	answer(w, status, v)
}

// Who says for whom somebody asks, by a token or a client's certificate: "" for an operator, who may ask for all.
func (s *Server) Who(h *http.Request) (string, error) {
	if text := h.Header.Get("Authorization"); text != "" {
		kind, token, _ := strings.Cut(text, " ")
		if !strings.EqualFold(kind, "Bearer") {
			return "", Nobody(errors.New("it takes a token (Authorization: Bearer TOKEN), or a client's certificate"))
		}
		return s.Store.Bearer(h.Context(), strings.TrimSpace(token))
	}
	if h.TLS != nil && len(h.TLS.PeerCertificates) > 0 {
		who, err := s.Store.Identity.Good(h.TLS.PeerCertificates[0], "") // it may have been revoked since
		if err != nil {
			return "", Nobody(err)
		}
		return s.Store.Holder(h.Context(), who)
	}
	return "", Nobody(errors.New("who asks? Authorization: Bearer TOKEN (ri fleet tenant token makes one), or a " +
		"client's certificate"))
}

// statusError is one that has a status of its own.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

func (s *Server) failed(err error) (int, any) {
	var own *statusError
	switch {
	case errors.As(err, &own):
		return own.status, problem(own.text)
	case errors.Is(err, ErrNotFound):
		return http.StatusNotFound, problem("no such request")
	case errors.Is(err, ErrInvalid):
		return http.StatusUnprocessableEntity, problem(err.Error())
	case errors.Is(err, ErrTooMany):
		return http.StatusTooManyRequests, problem(err.Error())
	}
	s.Say("a request over HTTP failed: " + err.Error())
	return http.StatusServiceUnavailable, problem("the fleet's database can't be asked now")
}

// body reads a request's body as JSON.
func (c *call) body() ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, &statusError{http.StatusUnsupportedMediaType, "its Content-Type must be application/json"}
	}
	text, err := io.ReadAll(io.LimitReader(c.Body, mostBody+1))
	if err != nil {
		return nil, &statusError{http.StatusBadRequest, "the body can't be read: " + err.Error()}
	}
	if len(text) > mostBody {
		return nil, &statusError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", mostBody)}
	}
	return text, nil
}

func (s *Server) create(c *call) (int, any, error) {
	text, err := c.body()
	if err != nil {
		return 0, nil, err
	}
	r, err := ReadRequest(text)
	if err != nil {
		return 0, nil, &statusError{http.StatusBadRequest, "the body is no request: " + err.Error()}
	}
	if c.tenant != "" {
		if r.TenantID != "" && r.TenantID != c.tenant {
			return 0, nil, &statusError{http.StatusForbidden, "tenantId: it isn't yours"}
		}
		r.TenantID = c.tenant
	}
	t, err := s.Store.Create(c.Context(), r)
	if err == nil {
		c.header.Set("Location", "/traces/"+t.ID)
	}
	return http.StatusCreated, t, err
}

func (s *Server) list(c *call) (int, any, error) {
	tenant := c.tenant
	if wanted := c.URL.Query().Get("tenant_id"); wanted != "" {
		if tenant != "" && wanted != tenant {
			return 0, nil, &statusError{http.StatusForbidden, "tenant_id: it isn't yours"}
		}
		tenant = wanted
	}
	all, err := s.Store.List(c.Context(), tenant)
	if all == nil {
		all = []*Trace{}
	}
	return http.StatusOK, all, err
}

// Offer is what a tenant may know of a device.
type Offer struct {
	Name        string   `json:"name"`
	Ingress     []string `json:"ingress"`
	Egress      []string `json:"egress,omitempty"`
	Steps       []string `json:"steps,omitempty"`
	Paths       []string `json:"paths"`
	EgressPaths []string `json:"egressPaths,omitempty"`
	Keys        []Key    `json:"keys,omitempty"`
}

func (s *Server) devices(c *call) (int, any, error) {
	all, err := s.Store.Devices(c.Context(), c.tenant, func(name string, err error) {
		s.Say(fmt.Sprintf("the device %q isn't believed: %v", name, err))
	})
	out := []Offer{}
	for _, d := range all {
		out = append(out, Offer{d.Name, d.Ingress, d.Egress, d.Steps, d.Paths, d.EgressPaths, d.Keys})
	}
	return http.StatusOK, out, err
}

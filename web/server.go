package web

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"embed"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"ri/fleet"
	"ri/flow"
	"ri/instruments/rows"
	"ri/report/style"
	"ri/serve/method"
	"ri/serve/pki"
	"ri/serve/request"
)

// Recipe is a recipe that the page offers.
type Recipe struct {
	Name   string        `json:"name"`
	Title  string        `json:"title"`
	Params []Param       `json:"params,omitempty"`
	Shape  []rows.Column `json:"-"` // of its rows, as far as it is known here
}

// Param is a parameter of a recipe.
type Param struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Default  string   `json:"default,omitempty"`
	Values   []string `json:"values,omitempty"`
	Required bool     `json:"required,omitempty"`
	Help     string   `json:"help,omitempty"`
}

// Server is the page.
type Server struct {
	Methods []method.Method
	// Identity is who it is for browsers; nil: nobody, and TLS can't be.
	Identity *pki.Identity
	// Asker asks agents. For others than who started it, that is as a viewer. Its database is the page's.
	Asker *fleet.Asker
	// Asks: agents may be asked, else only what the database has is shown.
	Asks    bool
	Recipes []Recipe
	Say     func(string)

	flows    *flow.Server // nil: who it is may make no requests
	sessions sessions
	asking   asking
	lists    lists
	page     []byte
	policy   string
}

// mostQuestions is how many questions to agents go on at once, and mostOfOne how many of a person.
const (
	mostQuestions = 4
	mostOfOne     = 2
)

// check refuses what can't be served.
func (s *Server) check() error {
	for _, m := range s.Methods {
		switch {
		case !m.Passive || m.Network == "unix":
			return fmt.Errorf("--web %s: a browser calls it: pssl:[PORT][:IP], or ptcp:[PORT]:127.0.0.1 for this machine", m)
		case !m.TLS && !m.Loopback():
			return fmt.Errorf("--web %s: who listens to the network would read all of it: use pssl, or an address of this "+
				"machine (ptcp:PORT:127.0.0.1)", m)
		case m.TLS && s.Identity == nil:
			return fmt.Errorf("--web %s: TLS needs a certificate: --tls FILE (ri pki issue NAME --role tracer --host NAME)", m)
		case m.TLS && s.Identity.Kind != pki.Tracer:
			return fmt.Errorf("--web %s: others come there, so it is a server whose certificate can do nothing but arm what "+
				"operators defined: --tls FILE, which ri pki issue NAME --role tracer --host NAME makes", m)
		case m.TLS && s.Asks && (s.Asker.Identity == nil || s.Asker.Identity.Kind != request.Viewer.String()):
			return fmt.Errorf("--web %s: others come there, so agents are asked as a viewer: --as FILE, which ri pki issue "+
				"NAME --role viewer makes", m)
		}
	}
	return nil
}

// Serve serves until the context ends.
func (s *Server) Serve(ctx context.Context) error {
	if err := s.check(); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s.page, s.policy = page()
	asked, answered := context.WithCancel(ctx)
	_, err := s.Asker.Database.Ask(asked)
	answered()
	if err != nil { // it is told here, and not to each browser
		return err
	}
	if own := s.Identity; own != nil && (own.Kind == pki.Tracer || own.Kind == request.Operator.String()) {
		store := &flow.Store{Database: s.Asker.Database, Identity: own, Say: s.Say}
		store.Database.Identity = own
		if err := store.Open(ctx); err != nil {
			return err
		}
		go store.Keep(ctx)
		s.flows = &flow.Server{Store: store, Say: s.Say, By: s.tenant}
	}
	var config *tls.Config
	if s.Identity != nil {
		config = s.Identity.Serving()
	}
	return method.ServeHTTP(ctx, s.Methods, config, s.Handler(), s.listening, s.Say)
}

// listening says where the page is; who started it is shown a link by which this machine lets them in.
func (s *Server) listening(m method.Method, at net.Addr) {
	if m.TLS {
		s.Say(fmt.Sprintf("the page: listening at %s: https://%s", m, net.JoinHostPort(append(s.Identity.Hosts(), "HOST")[0],
			port(at))))
		return
	}
	s.Say(fmt.Sprintf("the page: listening at %s", m))
	s.sessions.shows(func(once string) {
		s.Say(fmt.Sprintf("open http://%s/#once=%s (good once, for %.0f minutes)", at, once, linkLife.Minutes()))
	})
}

func port(at net.Addr) string {
	_, port, _ := net.SplitHostPort(at.String())
	return port
}

// Handler answers requests over HTTP.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.front)
	mux.HandleFunc("POST /api/session", s.enter)
	mux.HandleFunc("DELETE /api/session", s.leave)
	mux.HandleFunc("GET /api/me", s.me)
	mux.HandleFunc("GET /api/hosts", s.listed((*fleet.Asker).Hosts))
	mux.HandleFunc("GET /api/targets", s.listed((*fleet.Asker).Targets))
	mux.HandleFunc("POST /api/ask", s.ask)
	if s.flows != nil {
		requests := s.flows.Handler()
		for _, path := range []string{"/traces", "/traces/", "/devices", "/openapi.json"} {
			mux.Handle(path, requests)
		}
	}
	guard := http.NewCrossOriginProtection() // what changes something comes from the page itself, or from no browser
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusForbidden, "another page asked for it")
	}))
	inner := guard.Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", s.policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !s.ours(r) {
			fail(w, http.StatusMisdirectedRequest, "this server has no such name")
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" && origin != originOf(r) {
			fail(w, http.StatusForbidden, "another page asked for it")
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// originOf is of the page itself.
func originOf(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// ours tells whether a request was meant for this server: a name that somebody else had resolve to it isn't its own.
// On this machine the port may be another, which ssh -L has.
func (s *Server) ours(r *http.Request) bool {
	name, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		name = strings.Trim(r.Host, "[]")
	}
	if r.TLS != nil {
		return slices.ContainsFunc(s.Identity.Hosts(), func(own string) bool { return strings.EqualFold(own, name) })
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback() || strings.EqualFold(name, "localhost")
}

//go:embed page.html page.css page.js
var texts embed.FS

// page gives the page's text, and the policy that allows what is in it and nothing else.
func page() ([]byte, string) {
	read := func(name string) string {
		text, err := texts.ReadFile(name)
		if err != nil {
			panic(err) // it is part of the program
		}
		return string(text)
	}
	sheet, script := style.Sheet+read("page.css"), style.Tables+read("page.js")
	text := strings.NewReplacer("{{sheet}}", sheet, "{{script}}", script).Replace(read("page.html"))
	digest := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return []byte(text), "default-src 'none'; connect-src 'self'; script-src " + digest(script) + "; style-src " +
		digest(sheet) + "; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
		"require-trusted-types-for 'script'"
}

func (s *Server) front(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(s.page)
}

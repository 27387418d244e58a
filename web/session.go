package web

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"

	"ri/flow"
	"ri/serve/request"
)

// How long what lets somebody in is good.
const (
	linkLife    = 10 * time.Minute
	sessionLife = 12 * time.Hour
	// mostSessions is how many there are by tokens, mostOwn those of a tenant; the oldest gives way.
	mostSessions = 1000
	mostOwn      = 50
	mostBody     = 64 << 10
)

// secret is a random text, as who holds it knows it.
func secret() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// session is somebody who was let in.
type session struct {
	token  string // a tenant's; "": it is who started the page
	tenant string // whose token it is
	made   time.Time
}

// sessions are who was let in, and the link by which the next one is.
type sessions struct {
	mu   sync.Mutex
	show []func(once string) // shows who started it a link, at each address; none: there is no link
	once [sha256.Size]byte
	made time.Time // the link
	all  map[[sha256.Size]byte]*session
}

// shows has links shown, and shows the first.
func (s *sessions) shows(f func(once string)) {
	s.mu.Lock()
	s.show = append(s.show, f)
	s.mu.Unlock()
	s.link()
}

// link makes a link that is good once, and shows it.
func (s *sessions) link() {
	text := secret()
	s.mu.Lock()
	s.once, s.made = sha256.Sum256([]byte(text)), time.Now()
	show := s.show
	s.mu.Unlock()
	for _, f := range show {
		f(text)
	}
}

// use takes a link's secret, which is good once. The next browser needs another, and so does who comes too late.
func (s *sessions) use(text string) bool {
	sum := sha256.Sum256([]byte(text))
	s.mu.Lock()
	any := len(s.show) > 0
	late := time.Since(s.made) >= linkLife
	good := any && !late && sum == s.once
	if good {
		s.once = [sha256.Size]byte{}
	}
	s.mu.Unlock()
	if any && (good || late) {
		s.link()
	}
	return good
}

// begin lets somebody in, and gives the secret by which a browser shows it.
func (s *sessions) begin(one *session) string {
	text := secret()
	one.made = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[[sha256.Size]byte]*session{}
	}
	// Those that were let in by a link give way to none by a token, and no tenant's to another's.
	alike := func(other *session) bool { return (other.token == "") == (one.token == "") }
	s.room(mostOwn, func(other *session) bool { return alike(other) && other.tenant == one.tenant })
	s.room(mostSessions, alike)
	s.all[sha256.Sum256([]byte(text))] = one
	return text
}

// room makes room for one of a kind: what is over, and the oldest, give way. s.mu is held.
func (s *sessions) room(most int, of func(*session) bool) {
	var oldest [sha256.Size]byte
	first, n := time.Time{}, 0
	for sum, other := range s.all {
		switch {
		case time.Since(other.made) > sessionLife:
			delete(s.all, sum)
		case of(other):
			if n++; first.IsZero() || other.made.Before(first) {
				oldest, first = sum, other.made
			}
		}
	}
	if n >= most {
		delete(s.all, oldest)
	}
}

// find gives the session of a request, nil if there is none.
func (s *sessions) find(r *http.Request) *session {
	shown := shownSecret(r)
	if shown == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[sha256.Sum256([]byte(shown))]
	if one == nil || time.Since(one.made) > sessionLife {
		return nil
	}
	return one
}

func (s *sessions) end(r *http.Request) {
	s.mu.Lock()
	delete(s.all, sha256.Sum256([]byte(shownSecret(r))))
	s.mu.Unlock()
}

// Over TLS a session is shown by a cookie, whose prefix has browsers let no other host set it. Without, a cookie would
// be every port's of the machine: there the page keeps the session's secret to itself, and shows it in a header.
const (
	cookieName    = "__Host-ri"
	sessionHeader = "Ri-Session"
)

// shownSecret is the secret of a session as a request shows it.
func shownSecret(r *http.Request) string {
	if r.TLS == nil {
		return r.Header.Get(sessionHeader)
	}
	c, err := r.Cookie(cookieName)
	if err != nil {
		return ""
	}
	return c.Value
}

func cookie(value string, age int) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: true,
		SameSite: http.SameSiteStrictMode}
}

// person is who asks, and what they may.
type person struct {
	Name string `json:"name"`
	// Tenant is the one whose requests they see; "": all.
	Tenant string `json:"tenant,omitempty"`
	// Fleet: hosts and targets are shown to them.
	Fleet bool `json:"fleet"`
	// Asks: agents are asked for them.
	Asks bool `json:"asks"`
	// Requests: they see requests for traces.
	Requests bool `json:"requests"`
}

var errWho = errors.New("who asks? Open the link that ri serve --web printed, show a client's certificate, or give a " +
	"tenant's token")

// who says who asks. The error is one of flow.Nobody, or of the database.
func (s *Server) who(r *http.Request) (*person, error) {
	tenants := func(tenant string, err error) (*person, error) {
		if err != nil {
			return nil, err
		}
		return &person{Name: tenant, Tenant: tenant, Requests: true}, nil
	}
	switch one := s.sessions.find(r); {
	case r.Header.Get("Authorization") != "":
		if s.flows == nil {
			return nil, flow.Nobody(errWho)
		}
		return tenants(s.flows.Who(r))
	case one != nil && one.token != "":
		return tenants(s.flows.Store.Bearer(r.Context(), one.token))
	case one != nil:
		name := "you"
		if s.Asker.Identity != nil {
			name = s.Asker.Identity.Name
		}
		return &person{Name: name, Fleet: true, Asks: s.Asks, Requests: s.flows != nil}, nil
	case r.TLS == nil || len(r.TLS.PeerCertificates) == 0:
		return nil, flow.Nobody(errWho)
	}
	who, err := s.Identity.Good(r.TLS.PeerCertificates[0], "") // it may have been revoked since
	if err != nil {
		return nil, flow.Nobody(err)
	}
	all := &person{Name: who.Name, Fleet: true, Asks: s.Asks}
	switch who.Kind {
	case request.Operator.String():
		all.Requests = s.flows != nil
		return all, nil
	case request.Viewer.String(), request.Author.String():
	default:
		return nil, flow.Nobody(errors.New("a certificate of " + who.Kind + " is none of a person"))
	}
	if s.flows == nil {
		return all, nil
	}
	names, err := s.flows.Store.ActsFor(r.Context(), who)
	switch {
	case err != nil:
		return nil, err
	case len(names) == 0:
		return all, nil
	case len(names) > 1:
		return nil, flow.Nobody(errors.New("the certificate of " + who.Name + " is of several tenants: use a token"))
	}
	return &person{Name: who.Name, Tenant: names[0], Requests: true}, nil
}

// tenant is for whom somebody asks for requests.
func (s *Server) tenant(r *http.Request) (string, error) {
	p, err := s.who(r)
	if err != nil {
		return "", err
	}
	if !p.Requests {
		return "", flow.Nobody(errors.New("the certificate of " + p.Name + " is of no tenant"))
	}
	return p.Tenant, nil
}

// enter lets somebody in: by the link's secret, or by a tenant's token.
func (s *Server) enter(w http.ResponseWriter, r *http.Request) {
	var by struct{ Once, Token string }
	if err := body(r, &by); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	one := &session{token: by.Token}
	switch {
	case by.Once != "":
		if !s.sessions.use(by.Once) {
			fail(w, http.StatusUnauthorized, "the link was used, or is too old; ri serve --web prints a new one whenever one "+
				"is used")
			return
		}
		one.token = ""
	case by.Token != "" && s.flows != nil:
		tenant, err := s.flows.Store.Bearer(r.Context(), by.Token)
		if err != nil {
			s.refuse(w, err)
			return
		}
		one.tenant = tenant
	default:
		fail(w, http.StatusUnauthorized, errWho.Error())
		return
	}
	text := s.sessions.begin(one)
	if r.TLS == nil {
		answer(w, http.StatusOK, map[string]string{"session": text})
		return
	}
	http.SetCookie(w, cookie(text, int(sessionLife/time.Second)))
	answer(w, http.StatusOK, map[string]string{})
}

func (s *Server) leave(w http.ResponseWriter, r *http.Request) {
	s.sessions.end(r)
	if r.TLS != nil {
		http.SetCookie(w, cookie("", -1))
	}
	w.WriteHeader(http.StatusNoContent)
}

// body reads a request's body, as JSON.
func body(r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return errors.New("its Content-Type must be application/json")
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, mostBody+1))
	switch {
	case err != nil:
		return err
	case len(text) > mostBody:
		return errors.New("the body is too long")
	}
	return json.Unmarshal(text, into)
}

func fail(w http.ResponseWriter, status int, text string) {
	answer(w, status, map[string]string{"error": text})
}

func answer(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error": "the answer can't be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}

// refuse answers who isn't known, and who can't be told.
func (s *Server) refuse(w http.ResponseWriter, err error) {
	if flow.IsNobody(err) {
		fail(w, http.StatusUnauthorized, err.Error())
		return
	}
	s.Say("the page: " + err.Error())
	fail(w, http.StatusServiceUnavailable, "the fleet's database can't be asked now")
}

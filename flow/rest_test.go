package flow

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"ri/fleet"
	"ri/ovsdb"
	"ri/ovsdb/client"
	"ri/serve/method"
	"ri/serve/pki"
)

// web is a REST server, and what was asked of it.
type web struct {
	*site
	url    string
	tokens map[string]string
	seen   map[string]bool // "GET /traces/{id} 200"
}

func newWeb(t *testing.T) *web {
	t.Helper()
	s := newSite(t)
	s.define()
	server := httptest.NewServer((&Server{Store: s.rest, Say: func(text string) { t.Log(text) }}).Handler())
	t.Cleanup(server.Close)
	w := &web{s, server.URL, map[string]string{}, map[string]bool{}}
	for _, name := range []string{"acme", "bolt"} {
		token, err := s.admin.Token(t.Context(), name, time.Hour)
		s.must(err)
		w.tokens[name] = token
	}
	return w
}

// ask asks as somebody, wants a status, and gives what was answered.
func (w *web) ask(who, verb, path, body string, status int, header ...string) (*http.Response, map[string]any) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), verb, w.url+path, strings.NewReader(body))
	w.must(err)
	token := who
	if known := w.tokens[who]; known != "" {
		token = known
	}
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	w.must(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	w.must(err)
	where := strings.Split(strings.Split(path, "?")[0], "/")
	if len(where) > 2 && where[1] == "traces" {
		where[2] = "{id}"
	}
	w.seen[fmt.Sprintf("%s %s %d", verb, strings.Join(where, "/"), answer.StatusCode)] = true
	if answer.StatusCode != status {
		w.t.Errorf("%s %s %s: %s, want %d: %s", verb, path, body, answer.Status, status, text)
	}
	var v any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &v); err != nil || answer.Header.Get("Content-Type") != "application/json" {
			w.t.Errorf("%s %s: %s %q is no JSON", verb, path, answer.Header.Get("Content-Type"), text)
		}
	}
	one, _ := v.(map[string]any)
	if list, ok := v.([]any); ok {
		one = map[string]any{"list": list}
	}
	if why, _ := one["error"].(string); status >= 400 && why == "" {
		w.t.Errorf("%s %s: %d without a reason: %s", verb, path, status, text)
	}
	return answer, one
}

// TestREST: all that can be asked, what it answers, and that openapi.json says it.
func TestREST(t *testing.T) {
	w := newWeb(t)
	answer, made := w.ask("acme", "POST", "/traces", `{"device":"gateway","condition":"r.id == 1","name":"mine"}`, 201)
	id, _ := made["id"].(string)
	at := answer.Header.Get("Location")
	if at != "/traces/"+id || made["enabled"] != false || made["tenantId"] != "acme" || made["maxFlowsPerHost"] != 10.0 ||
		made["expires"] != "10m0s" {
		t.Errorf("made %v at %s", made, at)
	}
	w.ask("acme", "GET", at, "", 200)
	if _, got := w.ask("acme", "GET", at+"/enabled", "", 200); got["enabled"] != false {
		t.Errorf("enabled: %v", got)
	}
	w.ask("acme", "DELETE", at+"/enabled", "", 204)
	w.ask("acme", "PUT", at+"/enabled", "", 204)
	first := w.generation(id)
	w.ask("acme", "PUT", at+"/enabled", "", 204)
	if w.generation(id) != first {
		t.Error("enabling what is enabled enables it anew")
	}
	if _, got := w.ask("acme", "GET", at+"/enabled", "", 200); got["enabled"] != true || got["expires"] == nil {
		t.Errorf("enabled: %v", got)
	}
	if _, got := w.ask("acme", "GET", "/traces", "", 200); len(got["list"].([]any)) != 1 {
		t.Errorf("listed %v", got)
	}
	w.ask("acme", "GET", "/traces?tenant_id=acme", "", 200)
	w.ask("acme", "GET", at+"/hosts", "", 200)
	w.ask("acme", "GET", at+"/flows", "", 200)
	w.rest.mostHops = -1
	w.ask("acme", "GET", at+"/flows", "", 422)
	w.rest.mostHops = mostHops
	if _, got := w.ask("acme", "GET", "/devices", "", 200); len(got["list"].([]any)) != 1 ||
		strings.Contains(fmt.Sprint(got), "tenant ==") {
		t.Errorf("devices %v", got)
	}
	for path, verbs := range map[string][]string{"/traces": {"PUT", "DELETE", "PATCH"}, at: {"PUT", "POST", "PATCH"},
		at + "/enabled": {"POST", "PATCH"}, at + "/hosts": {"DELETE", "POST"}, at + "/flows": {"PUT"}} {
		for _, verb := range verbs {
			got, _ := w.ask("acme", verb, path, "", 405)
			if got.Header.Get("Allow") == "" {
				t.Errorf("%s %s: 405 without Allow", verb, path)
			}
		}
	}
	w.ask("acme", "GET", "/nothing", "", 404)
	w.ask("", "GET", "/openapi.json", "", 200)
	w.ask("acme", "DELETE", at+"/enabled", "", 204)
	w.ask("acme", "DELETE", at, "", 204)
	for _, rest := range []string{"", "/enabled", "/hosts", "/flows"} {
		w.ask("acme", "GET", at+rest, "", 404)
		w.ask("", "GET", at+rest, "", 401)
	}
	w.ask("acme", "DELETE", at, "", 404)
	w.ask("acme", "PUT", at+"/enabled", "", 404)
	w.ask("acme", "DELETE", at+"/enabled", "", 404)
	for body, status := range map[string]int{
		`{`: 400, `[]`: 400, `{"device":"gateway"} {}`: 400, `{"device":"gateway","color":"red"}`: 400,
		`{"device":1}`: 400, `null`: 422, `{}`: 422, `{"device":"nothing"}`: 422,
		`{"device":"gateway","condition":"r.id =="}`:                                   422,
		`{"device":"gateway","condition":"r.secret == 1"}`:                             422,
		`{"device":"gateway","condition":"r.id == 1) || (true"}`:                       422,
		`{"device":"gateway","condition":"r.id == 1 // x"}`:                            201,
		`{"device":"gateway","condition":"len(r.path) > 3 && !(r.id != 2)"}`:           201,
		`{"device":"gateway","condition":"func() bool { return true }()"}`:             422,
		`{"device":"gateway","condition":"main.global == r.id"}`:                       422,
		`{"device":"gateway","condition":"contains(r.path, r.secret)"}`:                422,
		`{"device":"gateway","condition":"*(*int)(nil) == 1"}`:                         422,
		`{"device":"gateway","condition":"` + strings.Repeat("(", 5000) + `"}`:         422,
		`{"device":"gateway","show":["r"]}`:                                            422,
		`{"device":"gateway","show":["q.id","len(r.path)"]}`:                           201,
		`{"device":"gateway","key":{"ingress":"r.id","egress":"q.secret"}}`:            422,
		`{"device":"gateway","key":{"ingress":"r.id"}}`:                                422, // where it leaves it is q.id
		`{"device":"gateway","key":{"ingress":"r.path","egress":"q.key"}}`:             422, // others may have the same
		`{"device":"gateway","key":{"ingress":"r.path + r.id","egress":"q.id"}}`:       422,
		`{"device":"gateway","key":{"ingress":"r.path+r.id","egress":"q.key + q.id"}}`: 201,
		`{"device":"gateway","maxFlowsPerHost":-1}`:                                    422,
		`{"device":"gateway","maxFlowsPerHost":1000000000}`:                            422,
		`{"device":"gateway","expires":"100h"}`:                                        422,
		`{"device":"gateway","expires":"soon"}`:                                        422,
		`{"device":"gateway","tenantId":"bolt"}`:                                       403,
		`{"device":"gateway","tenantId":"nobody"}`:                                     403,
		`{"device":"gateway","name":"` + strings.Repeat("x", mostBody) + `"}`:          413,
	} {
		w.ask("acme", "POST", "/traces", body, status)
	}
	w.ask("acme", "POST", "/traces", `{"device":"gateway"}`, 415, "Content-Type", "text/plain")
	w.ask("", "POST", "/traces", `{"device":"gateway"}`, 401)
	w.ask("", "GET", "/traces", "", 401)
	w.ask("", "GET", "/devices", "", 401)
	w.ask("", "DELETE", at, "", 401)
	w.ask("", "PUT", at+"/enabled", "", 401)
	w.ask("", "DELETE", at+"/enabled", "", 401)
	w.ask("acme", "GET", "/traces?tenant_id=bolt", "", 403)
	_, made = w.ask("acme", "POST", "/traces", `{"device":"gateway","condition":"r.tenant != nil"}`, 201)
	d, _ := ReadDevice([]byte(strings.Replace(gatewayDevice, "r.tenant]", "r.other]", 1)))
	w.must(w.admin.PutDevice(t.Context(), d))
	w.ask("acme", "PUT", "/traces/"+made["id"].(string)+"/enabled", "", 422)
	for range MostTraces {
		if _, err := w.rest.Create(t.Context(), &Request{TenantID: "acme", Device: "gateway"}); err != nil {
			break
		}
	}
	w.ask("acme", "POST", "/traces", `{"device":"gateway"}`, 429)
	w.document()
}

// document holds openapi.json to what was answered, both ways.
func (w *web) document() {
	var doc struct {
		Openapi string
		Paths   map[string]map[string]json.RawMessage
	}
	w.must(json.Unmarshal(openAPI, &doc))
	said := map[string]bool{}
	for path, item := range doc.Paths {
		for verb, text := range item {
			if verb == "parameters" {
				continue
			}
			var op struct{ Responses map[string]any }
			w.must(json.Unmarshal(text, &op))
			for status := range op.Responses {
				said[strings.ToUpper(verb)+" "+path+" "+status] = true
			}
			if !slices.ContainsFunc(routes, func(r route) bool {
				_, has := r.methods[strings.ToUpper(verb)]
				return r.path == path && has
			}) {
				w.t.Errorf("openapi.json has %s %s, which nobody answers", verb, path)
			}
		}
	}
	for _, r := range routes {
		for verb := range r.methods {
			if _, has := doc.Paths[r.path][strings.ToLower(verb)]; !has {
				w.t.Errorf("openapi.json lacks %s %s", verb, r.path)
			}
		}
	}
	var missing []string
	for one := range w.seen {
		if !said[one] && !strings.HasSuffix(one, " 405") && !strings.HasPrefix(one, "GET /nothing") {
			missing = append(missing, "answered and not in openapi.json: "+one)
		}
	}
	for one := range said {
		if !w.seen[one] && !strings.HasSuffix(one, " 503") {
			missing = append(missing, "in openapi.json and never answered: "+one)
		}
	}
	sort.Strings(missing)
	for _, one := range missing {
		w.t.Error(one)
	}
	if doc.Openapi != "3.1.0" {
		w.t.Errorf("openapi.json is of %s", doc.Openapi)
	}
}

// TestTenants: nobody reaches what is another tenant's, by whatever is shown as a token.
func TestTenants(t *testing.T) {
	w := newWeb(t)
	answer, _ := w.ask("bolt", "POST", "/traces", `{"device":"gateway"}`, 201)
	at := answer.Header.Get("Location")
	for _, rest := range []string{"", "/enabled", "/hosts", "/flows"} {
		w.ask("acme", "GET", at+rest, "", 404)
	}
	w.ask("acme", "DELETE", at, "", 404)
	w.ask("acme", "PUT", at+"/enabled", "", 404)
	w.ask("acme", "DELETE", at+"/enabled", "", 404)
	if _, got := w.ask("acme", "GET", "/traces", "", 200); len(got["list"].([]any)) != 0 {
		t.Errorf("acme sees %v", got)
	}
	w.ask("bolt", "GET", at, "", 200)
	for _, id := range []string{"..", "%2e%2e", "x", "00000000-0000-0000-0000-000000000000", "%00", "'"} {
		w.ask("acme", "GET", "/traces/"+id+"/hosts", "", 404)
	}

	expired, err := w.admin.Token(t.Context(), "acme", time.Second)
	w.must(err)
	w.ask(expired, "GET", "/traces", "", 200)
	w.rest.Now = func() time.Time { return time.Now().Add(2 * time.Second) }
	w.ask(expired, "GET", "/traces", "", 401)
	w.rest.Now = nil
	good := w.tokens["acme"]
	for _, token := range []string{good + "x", good[:len(good)-1], strings.ToUpper(good), tokenPrefix, "x",
		tokenHash(good), strings.Repeat("y", 10000), good + " " + good} {
		w.ask(token, "GET", "/traces", "", 401)
	}
	w.ask("", "GET", "/traces", "", 401, "Authorization", "Basic "+good)
	// A token that whoever can write to the database put there, in the name of one who may not sign it.
	mine := tokenPrefix + "mine"
	r := fleet.Row("id", tokenHash(mine), "tenant", "acme", "created", time.Now().UnixMilli(), "expires",
		time.Now().Add(time.Hour).UnixMilli(), "certificate", "", "signature", "")
	w.put(fleet.TokenTable, r)
	w.ask(mine, "GET", "/traces", "", 401)
	w.must(fleet.Sign(w.rest.Identity, fleet.TokenTable, r))
	w.put(fleet.TokenTable, r)
	w.ask(mine, "GET", "/traces", "", 401)
	// A token of bolt that became one of acme.
	all, err := w.rest.rows(t.Context(), fleet.TokenTable, fleet.Is("id", tokenHash(w.tokens["bolt"])))
	w.must(err)
	moved := fleet.Row("id", "", "tenant", "acme")
	for k, v := range all[0] {
		if k != "tenant" {
			moved[k] = v
		}
	}
	w.put(fleet.TokenTable, moved)
	w.ask("bolt", "GET", "/traces", "", 401)
	// A request of bolt that became one of acme, or was altered.
	id := strings.TrimPrefix(at, "/traces/")
	all, err = w.rest.rows(t.Context(), fleet.TraceTable, fleet.Is("id", id))
	w.must(err)
	altered := fleet.Row("id", id)
	for k, v := range all[0] {
		altered[k] = v
	}
	altered["tenant"] = ovsdb.Scalar("acme")
	w.put(fleet.TraceTable, altered)
	w.ask("acme", "GET", at, "", 404)
	w.ask("acme", "PUT", at+"/enabled", "", 404)
	w.ask("acme", "DELETE", at, "", 404)
	w.must(w.admin.Delete(t.Context(), "", id))
	if err := w.admin.Delete(t.Context(), "", id); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
	if n, err := w.admin.RevokeTokens(t.Context(), "acme"); err != nil || n == 0 {
		t.Errorf("revoked %d: %v", n, err)
	}
	w.ask("acme", "GET", "/traces", "", 401)
	if _, err := w.rest.Token(t.Context(), "acme", time.Hour); err == nil {
		t.Error("a tracer's certificate made a token")
	}
	if err := w.rest.PutDevice(t.Context(), &Device{}); err == nil {
		t.Error("a tracer's certificate defined a device")
	}
	if _, err := w.store(w.identity("vic", "viewer")).Create(t.Context(), &Request{TenantID: "acme",
		Device: "gateway"}); err == nil {
		t.Error("a viewer made a request")
	}
	w.must(w.admin.DeleteTenant(t.Context(), "acme"))
	if all, _ := w.rest.List(t.Context(), "acme"); len(all) != 0 {
		t.Errorf("of a tenant that is gone %d requests are left", len(all))
	}
}

func (s *site) put(table string, r ovsdb.Row) {
	s.t.Helper()
	_, err := s.rest.client.Transact(s.t.Context(), fleet.Remove(table, fleet.Is("id", r["id"].Text())),
		client.Op(fleet.Put(table, r)))
	s.must(err)
}

// TestCertificates: a certificate acts for the tenant that names it, an operator's for all, others for nobody.
func TestCertificates(t *testing.T) {
	w := newWeb(t)
	server := httptest.NewUnstartedServer((&Server{Store: w.rest, Say: func(text string) { t.Log(text) }}).Handler())
	server.Listener = tls.NewListener(server.Listener, w.rest.Identity.Serving())
	server.Start()
	t.Cleanup(server.Close)
	url := "https://" + server.Listener.Addr().String()
	get := func(who *pki.Identity, path string) (int, string) {
		t.Helper()
		config := &tls.Config{InsecureSkipVerify: true}
		if who != nil {
			config = who.Config(func(pki.Holder) error { return nil }, "127.0.0.1")
		}
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
		answer, err := c.Get(url + path)
		if err != nil {
			return 0, err.Error()
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		w.must(err)
		return answer.StatusCode, string(text)
	}
	_, made := w.ask("bolt", "POST", "/traces", `{"device":"gateway"}`, 201)
	id := made["id"].(string)
	for _, one := range []struct {
		name, kind string
		status     int
		sees       bool
	}{{"bolt-ann", "viewer", 200, true}, {"acme-ann", "author", 200, false}, {"boss", "operator", 200, true},
		{"vic", "viewer", 401, false}, {"h9", pki.Agent, 0, false}, {"rest2", pki.Tracer, 401, false}} {
		who := w.identity(one.name, one.kind)
		status, text := get(who, "/traces")
		if status != one.status || strings.Contains(text, id) != one.sees {
			t.Errorf("%s, %s: %d %s", one.name, one.kind, status, text)
		}
	}
	if status, text := get(nil, "/traces"); status != 401 {
		t.Errorf("nobody: %d %s", status, text)
	}
}

// TestPlain: without TLS tokens don't cross a network, and who signs can do nothing else.
func TestPlain(t *testing.T) {
	s := newSite(t)
	for remote, why := range map[string]string{"ptcp:0": "read tokens", "tcp:127.0.0.1:1": "calls nobody",
		"ptcp:0:127.0.0.1": "tracer"} {
		server := &Server{Store: s.admin, Say: func(string) {}}
		server.Methods, _ = method.ParseList(remote)
		if err := server.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", remote, err)
		}
	}
}

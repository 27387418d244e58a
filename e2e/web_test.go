package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// webPage is the page of a site, and what it says.
type webPage struct {
	said *text
}

// link gives the newest link that is good once.
func (p *webPage) link(t *testing.T, n int) string {
	t.Helper()
	var all []string
	if err := eventually("a link is shown", func() (bool, error) {
		all = regexp.MustCompile(`http://\S+#once=\S+`).FindAllString(p.said.String(), -1)
		return len(all) == n, nil
	}); err != nil {
		t.Fatalf("%v: %s", err, p.said)
	}
	return all[n-1]
}

// page serves the page.
func (s *flowSite) page(args ...string) *webPage {
	p := &webPage{&text{}}
	cmd := riCommand(append([]string{"serve", "--db", "unix:" + s.file("db")}, args...)...)
	cmd.Stderr = p.said
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() })
	return p
}

// browser is a Chromium, and what it complained of.
func browser(t *testing.T) (context.Context, func() []string) {
	t.Helper()
	exe, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("the page is tried in a real browser: install chromium (make needs)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(exe), chromedp.NoSandbox,
		chromedp.WindowSize(1400, 1000), chromedp.WSURLReadTimeout(2*time.Minute))
	all, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(all)
	t.Cleanup(end)
	wrong := &text{}
	chromedp.ListenTarget(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			fmt.Fprintln(wrong, ev.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			if ev.Entry.Level == log.LevelError {
				fmt.Fprintln(wrong, ev.Entry.Text, ev.Entry.URL)
			}
		}
	})
	if err := chromedp.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx, func() []string { return strings.Split(strings.TrimSpace(wrong.String()), "\n") }
}

// shown waits until the page says something somewhere.
func shown(t *testing.T, ctx context.Context, what, where string) {
	t.Helper()
	var is string
	if err := eventually(fmt.Sprintf("the page shows %q", what), func() (bool, error) {
		is = ""
		err := chromedp.Run(ctx, chromedp.Evaluate(fmt.Sprintf(
			`[...document.querySelectorAll(%q)].map((n) => n.innerText).join("\n")`, where), &is))
		return strings.Contains(is, what), err
	}); err != nil {
		picture(ctx, t)
		t.Fatalf("%v: %s", err, is)
	}
}

func act(t *testing.T, ctx context.Context, actions ...chromedp.Action) {
	t.Helper()
	late, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if err := chromedp.Run(late, actions...); err != nil {
		picture(ctx, t)
		t.Fatal(err)
	}
}

// picture leaves a picture of the page, for whoever looks why a test failed.
func picture(ctx context.Context, t *testing.T) {
	folder := os.Getenv("RI_PICTURES")
	if folder == "" {
		return
	}
	var png []byte
	if chromedp.Run(ctx, chromedp.FullScreenshot(&png, 100)) == nil {
		_ = os.WriteFile(fmt.Sprintf("%s/%s-%d.png", folder, t.Name(), time.Now().UnixNano()), png, 0o644)
	}
}

// TestWeb: in a real browser, by keyboard: processes, what check finds, a recipe's rows of both hosts, a request that
// is made and enabled, and a flow as a waterfall over both.
func TestWeb(t *testing.T) {
	needAttach(t)
	s := newFlowSite(t)
	hostile := `<img src=x>` // a name of a process has 15 bytes
	if err := os.Link(s.file("hops"), s.file(hostile)); err != nil {
		t.Fatal(err)
	}
	odd := exec.Command(s.file(hostile), "store", "127.0.0.1:0")
	s.listening(odd)
	s.must("pki", "issue", "od1", "--agent", "--pki", "pki", "-o", "od1.pem")
	s.agent("od1", odd.Process.Pid)
	p := s.page("--web", "ptcp:0:127.0.0.1", "--tls", s.file("root.pem"))
	ctx, wrong := browser(t)
	link := p.link(t, 1)
	act(t, ctx, chromedp.Navigate(link))
	for _, name := range []string{"gateway", "store", hostile} {
		shown(t, ctx, name, "#view tbody tr")
	}
	picture(ctx, t)

	// Keys alone: the first process is checked.
	act(t, ctx, chromedp.KeyEvent("j"), chromedp.KeyEvent(kb.Enter))
	shown(t, ctx, "1 answered", ".status")
	shown(t, ctx, "what gw1 gateway", "summary")
	picture(ctx, t)

	// A recipe's rows of all.
	field := ""
	act(t, ctx, chromedp.KeyEvent("3"), chromedp.WaitVisible(`select[name=recipe]`),
		chromedp.SetValue(`select[name=recipe]`, "goroutines"), chromedp.KeyEvent("/"),
		chromedp.Evaluate(`document.activeElement.name`, &field), chromedp.SetValue(`input[name=where]`, "name != nobody"),
		chromedp.KeyEvent(kb.Enter))
	if field != "where" {
		t.Errorf("/ leads to %q", field)
	}
	shown(t, ctx, "3 answered", ".status")
	shown(t, ctx, "gw1", "#view tbody")
	shown(t, ctx, "st1", "#view tbody")
	picture(ctx, t)
	act(t, ctx, chromedp.SetValue(`input[name=where]`, "name !! 3"), chromedp.Click(`button[type=submit]`))
	shown(t, ctx, "write COL OP VALUE", ".status, #trouble")

	// A request, from its making to a flow.
	act(t, ctx, chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent("4"), chromedp.WaitVisible(`#new`),
		chromedp.SendKeys(`input[name=tenant]`, "acme"), chromedp.SendKeys(`input[name=condition]`, "r.Secret == 7"+kb.Enter))
	shown(t, ctx, "r.Secret", "#trouble")
	act(t, ctx, chromedp.SetValue(`input[name=condition]`, "r.ID > 100"),
		chromedp.SendKeys(`input[name=show]`, "r.ID, q.ID"),
		chromedp.Click(`#new button[type=submit]`))
	shown(t, ctx, "disabled", ".status")
	act(t, ctx, chromedp.Click(`//button[text()="enable"]`))
	shown(t, ctx, "enabled by root", ".status")
	armed := 0
	if err := eventually("both hosts are armed", func() (bool, error) {
		err := chromedp.Run(ctx, chromedp.Evaluate(
			`[...document.querySelectorAll("#view td")].filter((n) => n.innerText === "armed").length`, &armed))
		return armed == 2, err
	}); err != nil {
		picture(ctx, t)
		t.Fatal(err)
	}
	s.order("acme", 102)
	shown(t, ctx, "gw1, st1", "#view tbody")
	act(t, ctx, chromedp.Click(`//td[text()="gw1, st1"]`))
	for _, what := range []string{"main.ask", "main.(*Store).read", "gw1 gateway:", "st1 store:", "r.ID = 102", "leaves"} {
		shown(t, ctx, what, "#fall")
	}
	picture(ctx, t)

	// What is light is dark for who wants that.
	paper := func(scheme string) (color string) {
		act(t, ctx, emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme",
			Value: scheme}}), chromedp.Evaluate(`getComputedStyle(document.body).backgroundColor`, &color))
		return color
	}
	if light, dark := paper("light"), paper("dark"); light == dark {
		t.Errorf("light and dark are both %s", light)
	}
	picture(ctx, t)
	var images int
	act(t, ctx, chromedp.KeyEvent("1"), chromedp.WaitVisible("#view tbody tr"),
		chromedp.Evaluate(`document.querySelectorAll("#view img").length`, &images))
	if images != 0 {
		t.Error("a name of a process became part of the page")
	}
	// The refused condition is a 422, which a browser says, too.
	for _, line := range wrong() {
		if line != "" && !strings.Contains(line, "422") {
			t.Errorf("the browser complains: %s", line)
		}
	}
	// The link was good once.
	p.link(t, 2)
	other, _ := browser(t)
	act(t, other, chromedp.Navigate(link))
	shown(t, other, "the link was used", "#view")
	if r, err := http.Get(strings.Split(link, "#")[0] + "api/targets"); err != nil || r.StatusCode != 401 {
		t.Errorf("without a session: %v %v", r, err)
	}
	cookies := ""
	act(t, ctx, chromedp.Evaluate(`document.cookie + "|"`, &cookies), chromedp.Reload(),
		chromedp.WaitVisible("#view tbody tr"))
	if cookies != "|" {
		t.Errorf("every port of the machine is given %s", cookies)
	}
}

// TestWebWho: at an address that others reach, each sees what is theirs, and what a browser was made to ask is refused.
func TestWebWho(t *testing.T) {
	s := &flowSite{fleetSite: newFleetSite(t)}
	s.must("pki", "issue", "rest", "--role", "tracer", "--host", "localhost", "--pki", "pki", "-o", "rest.pem")
	for _, file := range []string{"ta", "tb"} {
		s.must("pki", "issue", file, "--role", "viewer", "--pki", "pki", "-o", file+".pem")
	}
	s.background(riCommand("fleet", "db", s.file("file"), "--remote", "punix:"+s.file("db")), "listening at")
	fleet := func(args ...string) string {
		return strings.TrimSpace(s.must(append(append([]string{"fleet"}, args...), "--db", "unix:"+s.file("db"), "--tls",
			s.file("op.pem"))...))
	}
	tokens := map[string]string{}
	for _, name := range []string{"acme", "bolt"} {
		text := fmt.Sprintf("name: %s\ncertificates: [t%c]\n", name, name[0])
		if err := os.WriteFile(s.file(name+".yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		fleet("tenant", "create", name+".yaml")
		tokens[name] = fleet("tenant", "token", name)
	}
	device := strings.ReplaceAll(hopsDevice, "tenants:\n", "tenants:\n  bolt: {predicate: 'r.Tenant == \"bolt\"'}\n")
	if err := os.WriteFile(s.file("device.yaml"), []byte(device), 0o600); err != nil {
		t.Fatal(err)
	}
	fleet("device", "create", "device.yaml")
	made := fleet("trace", "create", "--tenant", "acme", "--device", "gateway", "--json")
	id := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).FindString(made)
	if id == "" {
		t.Fatalf("made: %s", made)
	}
	for _, wrong := range [][]string{{"--web", "pssl:0", "--tls", s.file("op.pem")},
		{"--web", "pssl:0", "--tls", s.file("rest.pem"), "--as", s.file("op.pem")},
		{"--web", "ptcp:0:127.0.0.1", "--db", "unix:" + s.file("nothing")},
		{"--web", "ptcp:0"}, {"--web", "ptcp:0:127.0.0.1", "--rest", "ptcp:0"}} {
		if r := tell(s.dir, "", append([]string{"serve", "--db", "unix:" + s.file("db")}, wrong...)...); r.code == 0 {
			t.Errorf("%q is served", wrong)
		}
	}
	p := s.page("--web", "pssl:0:127.0.0.1", "--tls", s.file("rest.pem"), "--as", s.file("vic.pem"))
	at := ""
	if err := eventually("it listens", func() (bool, error) {
		at = regexp.MustCompile(`https://localhost:\d+`).FindString(p.said.String())
		return at != "", nil
	}); err != nil {
		t.Fatalf("%v: %s", err, p.said)
	}
	type asks struct {
		who, verb, path, body string
		header                http.Header
		status                int
		host                  string
	}
	ask := func(a asks) (string, http.Header) {
		t.Helper()
		r, err := http.NewRequest(a.verb, at+a.path, strings.NewReader(a.body))
		if err != nil {
			t.Fatal(err)
		}
		if a.header != nil {
			r.Header = a.header.Clone()
		}
		r.Header.Set("Content-Type", "application/json")
		r.Host = a.host
		config := &tls.Config{RootCAs: x509.NewCertPool()}
		ca, err := os.ReadFile(s.file("pki/ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		config.RootCAs.AppendCertsFromPEM(ca)
		if a.who != "" {
			pair, err := tls.LoadX509KeyPair(s.file(a.who+".pem"), s.file(a.who+".pem"))
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		got, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}).Do(r)
		if err != nil {
			if a.status == 0 {
				return "", nil
			}
			t.Fatalf("%+v: %v", a, err)
		}
		defer got.Body.Close()
		text, _ := io.ReadAll(got.Body)
		if got.StatusCode != a.status {
			t.Errorf("%+v: %s %s", a, got.Status, text)
		}
		return string(text), got.Header
	}
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	_, set := ask(asks{verb: "POST", path: "/api/session", body: `{"token":"` + tokens["bolt"] + `"}`, status: 200})
	cookie := header("Cookie", strings.Split(set.Get("Set-Cookie"), ";")[0])
	if c := set.Get("Set-Cookie"); !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "Secure") ||
		!strings.Contains(c, "SameSite=Strict") || !strings.HasPrefix(c, "__Host-") {
		t.Errorf("the cookie: %s", c)
	}
	const check = `{"recipe":"","where":[]}`
	for _, a := range []asks{
		// What is anybody's: the page itself.
		{verb: "GET", path: "/", status: 200},
		{verb: "GET", path: "/api/me", status: 401},
		{verb: "GET", path: "/api/hosts", status: 401},
		{verb: "POST", path: "/api/ask", body: check, status: 401},
		{verb: "GET", path: "/traces", status: 401},
		{verb: "POST", path: "/api/session", body: `{"once":"x"}`, status: 401},
		{verb: "POST", path: "/api/session", body: `{"token":"ri_tenant_x"}`, status: 401},
		// An operator sees all; a viewer sees hosts and asks.
		{who: "op", verb: "GET", path: "/api/hosts", status: 200},
		{who: "op", verb: "GET", path: "/traces/" + id, status: 200},
		{who: "vic", verb: "GET", path: "/api/targets", status: 200},
		{who: "vic", verb: "POST", path: "/api/ask", body: check, status: 200},
		{who: "vic", verb: "GET", path: "/traces", status: 401},
		{who: "vic", verb: "POST", path: "/api/ask", body: `{"recipe":"/etc/passwd"}`, status: 422},
		{who: "vic", verb: "POST", path: "/api/ask", body: `{"recipe":"log-level","params":["level=debug"]}`, status: 422},
		{who: "vic", verb: "POST", path: "/api/ask", body: `{"recipe":"goroutines","params":["--write"]}`, status: 422},
		{who: "vic", verb: "GET", path: "/api/targets?where=%21", status: 422},
		// A tenant sees its requests, and nothing else; by a certificate, by a token, in a session.
		{who: "ta", verb: "GET", path: "/traces/" + id, status: 200},
		{who: "ta", verb: "GET", path: "/api/hosts", status: 403},
		{who: "ta", verb: "POST", path: "/api/ask", body: check, status: 403},
		{who: "tb", verb: "GET", path: "/traces/" + id, status: 404},
		{who: "tb", verb: "PUT", path: "/traces/" + id + "/enabled", status: 404},
		{who: "tb", verb: "GET", path: "/traces/" + id + "/flows", status: 404},
		{verb: "GET", path: "/traces/" + id, header: header("Authorization", "Bearer "+tokens["acme"]), status: 200},
		{verb: "GET", path: "/traces/" + id, header: header("Authorization", "Bearer "+tokens["bolt"]), status: 404},
		{verb: "GET", path: "/api/targets", header: header("Authorization", "Bearer "+tokens["acme"]), status: 403},
		{verb: "GET", path: "/traces/" + id, header: cookie, status: 404},
		{verb: "GET", path: "/traces?tenant_id=acme", header: cookie, status: 403},
		{verb: "GET", path: "/api/targets", header: cookie, status: 403},
		// Agents and servers are nobody here.
		{who: "rest", verb: "GET", path: "/api/hosts", status: 401},
		{who: "db7", verb: "GET", path: "/api/hosts", status: 0},
		// What other pages have a browser ask.
		{who: "op", verb: "GET", path: "/api/hosts", host: "evil.example", status: 421},
		{who: "op", verb: "GET", path: "/api/hosts", header: header("Origin", "https://evil.example"), status: 403},
		{who: "op", verb: "DELETE", path: "/traces/" + id, header: header("Sec-Fetch-Site", "cross-site"), status: 403},
		{who: "op", verb: "PUT", path: "/traces/" + id + "/enabled", header: header("Origin", "null"), status: 403},
	} {
		text, h := ask(a)
		if a.status >= 400 && strings.Contains(text, id) {
			t.Errorf("%+v tells: %s", a, text)
		}
		if h != nil && (!strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") ||
			h.Get("Access-Control-Allow-Origin") != "") {
			t.Errorf("%+v: %v", a, h)
		}
	}
	// ri asks it, too.
	remote := func(env string, args ...string) told {
		t.Helper()
		name, value, _ := strings.Cut(env, "=")
		t.Setenv(name, value)
		defer os.Unsetenv(name)
		return tell(s.dir, "", append(append([]string{"fleet", "trace"}, args...), "--rest", at, "--ca",
			s.file("pki/ca.pem"))...)
	}
	if r := remote("RI_TOKEN="+tokens["acme"], "list"); r.code != 0 || !strings.Contains(r.out, id) {
		t.Errorf("acme's, by its token: %+v", r)
	}
	if r := remote("RI_TLS="+s.file("ta.pem"), "show", id[:6]); r.code != 0 || !strings.Contains(r.out, id) {
		t.Errorf("acme's, by a certificate: %+v", r)
	}
	if r := remote("RI_TOKEN="+tokens["bolt"], "list"); r.code != 0 || strings.Contains(r.out, id) {
		t.Errorf("bolt's: %+v", r)
	}
	if r := remote("RI_TOKEN="+tokens["bolt"], "delete", id); r.code == 0 {
		t.Errorf("bolt deletes acme's: %+v", r)
	}
	wrong := remote("RI_TOKEN="+tokens["acme"], "create", "--device", "gateway", "--condition", "r.Secret == 1")
	if r := wrong; r.code != 2 || !strings.Contains(r.err, "r.Secret") {
		t.Errorf("a condition that may not be: %+v", r)
	}
	if r := remote("RI_TLS="+s.file("rest.pem"), "list"); r.code == 0 {
		t.Errorf("a server is nobody: %+v", r)
	}
	// A token that was revoked ends its sessions.
	fleet("tenant", "token", "bolt", "--revoke")
	ask(asks{verb: "GET", path: "/traces", header: cookie, status: 401})
}

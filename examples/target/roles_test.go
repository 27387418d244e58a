package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// testService is a store with all that serves it, and its admin endpoints.
type testService struct {
	t     *testing.T
	store *Store
	admin *Admin
	http  *httptest.Server
}

func serve(t *testing.T, s *Store, c *Config) *testService {
	t.Helper()
	if _, err := newPersister(s, c); err != nil {
		t.Fatal(err)
	}
	s.handler = newHandler(c.workers, c.queueLimit, s.perform)
	sessions, err := listenSessions("127.0.0.1:0", s.handler)
	if err != nil {
		t.Fatal(err)
	}
	s.sessions = sessions
	a := &Admin{config: c, store: s, heartbeat: newHeartbeat(), started: time.Now()}
	if c.load {
		a.load = startLoad(sessions.listener.Addr().String(), c)
	}
	a.trouble = &Trouble{store: s, load: a.load}
	mux := http.NewServeMux()
	newGateway(s.handler, nil, mux)
	a.register(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		if a.load != nil {
			a.load.close()
		}
		s.handler.setStalled(false)
		server.Close()
		sessions.close()
		s.handler.stop()
		s.persister.close()
	})
	return &testService{t, s, a, server}
}

func (s *testService) do(method, path string, body []byte) (int, []byte) {
	s.t.Helper()
	request, err := http.NewRequest(method, s.http.URL+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, text
}

func (s *testService) json(method, path string, into interface{}) {
	s.t.Helper()
	status, text := s.do(method, path, nil)
	if status != http.StatusOK {
		s.t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		s.t.Fatalf("%s %s: %v in %s", method, path, err, text)
	}
}

func TestHTTP(t *testing.T) {
	c := testConfig(t, "-objects", "20")
	s := serve(t, testStore(t, "-objects", "20"), c)
	big := bytes.Repeat([]byte("0123456789"), 100)
	for _, test := range []struct {
		method, path string
		body         []byte
		status       int
		answer       string // a part of it
	}{
		{"GET", "/o/none", nil, 404, "no such object"},
		{"PUT", "/o/a/b%20c", big, 200, `"size": 1000`},
		{"GET", "/o/a/b%20c", nil, 200, string(big)},
		{"PUT", "/o/a/b%20c", nil, 200, `"version": 2`},
		{"GET", "/o/?prefix=a/", nil, 200, `"name": "a/b c"`},
		{"GET", "/o/?limit=1", nil, 200, `"more": true`},
		{"GET", "/o/?limit=0", nil, 400, "bad limit"},
		{"DELETE", "/o/a/b%20c", nil, 204, ""},
		{"DELETE", "/o/a/b%20c", nil, 404, ""},
		{"PUT", "/o/%ff", nil, 400, "UTF-8"},
		{"PUT", "/o/", nil, 400, "512"},
		{"POST", "/o/x", nil, 405, ""},
		{"GET", "/admin/object", nil, 400, "name"},
		{"GET", "/admin/object?name=none", nil, 404, ""},
		{"GET", "/admin/cob?fid=1:2", nil, 404, ""},
		{"GET", "/admin/cob?fid=12", nil, 400, ""},
		{"GET", "/admin/node?id=99999", nil, 404, ""},
		{"GET", "/admin/trouble/panic", nil, 405, ""},
		{"POST", "/admin/service?id=0&state=ServiceStarting", nil, 400, "can't follow"},
		{"POST", "/admin/trouble/corrupt-list?how=well", nil, 400, "unknown damage"},
	} {
		status, text := s.do(test.method, test.path, test.body)
		if status != test.status || !strings.Contains(string(text), test.answer) {
			t.Errorf("%s %s: %d %.200s, want %d %.200s", test.method, test.path, status, text, test.status, test.answer)
		}
	}
}

// TestAdminAgrees follows objects through the admin endpoints, on stores of
// several sizes.
func TestAdminAgrees(t *testing.T) {
	for _, objects := range []int{1, 30, 2000} {
		flags := []string{"-objects", fmt.Sprint(objects), "-seed", fmt.Sprint(objects)}
		c := testConfig(t, flags...)
		s := serve(t, testStore(t, flags...), c)
		var verdict Verdict
		s.json("GET", "/admin/verify", &verdict)
		if verdict.Result != "ok" || verdict.Objects != objects || verdict.Violations == nil {
			t.Errorf("verify: %+v", verdict)
		}
		for i := 0; i < objects; i += 1 + objects/10 {
			name := seedName(c.seed, i)
			query := "name=" + url.QueryEscape(name)
			var object struct {
				Fid  Fid
				Size int64
				Cobs []Fid
			}
			s.json("GET", "/admin/object?"+query, &object)
			var path struct {
				Found bool
				Path  []nodeShape
			}
			s.json("GET", "/admin/path?"+query, &path)
			leaf := path.Path[len(path.Path)-1]
			found := false
			for k := range leaf.Keys {
				found = found || leaf.Keys[k] == name && leaf.Fids[k] == object.Fid
			}
			if !path.Found || !found || leaf.Level != 0 {
				t.Errorf("%q is not in its leaf %+v", name, leaf)
			}
			var node nodeShape
			s.json("GET", fmt.Sprint("/admin/node?id=", leaf.ID), &node)
			if fmt.Sprint(node) != fmt.Sprint(leaf) {
				t.Errorf("node %+v, in the path %+v", node, leaf)
			}
			for u, fid := range object.Cobs {
				var cob cobShape
				s.json("GET", "/admin/cob?fid="+url.QueryEscape(fid.String()), &cob)
				var extents struct {
					Device int
					Blocks []struct{ Intact bool }
				}
				s.json("GET", "/admin/extents?cob="+url.QueryEscape(fid.String()), &extents)
				groups := groupsFor(object.Size, c.units, c.blockSize)
				if cob.Object != object.Fid || cob.Unit != u || cob.Device != extents.Device ||
					int64(len(extents.Blocks)) != groups || cob.Blocks != groups {
					t.Errorf("cob %+v, extents %+v, %d groups", cob, extents, groups)
				}
			}
		}
	}
}

// TestSessions breaks the sessions of a load, which has to go on.
func TestSessions(t *testing.T) {
	flags := []string{"-objects", "50", "-load", "-load-rate", "1000", "-load-clients", "3", "-load-window", "4"}
	c := testConfig(t, flags...)
	s := serve(t, testStore(t, flags...), c)
	client := s.admin.load.clients[0]
	eventually(t, "answers", func() bool { return client.ok.Load() > 10 })
	for i, reset := range []func(net.Conn){
		func(conn net.Conn) { conn.(*net.TCPConn).SetLinger(0); conn.Close() },
		func(conn net.Conn) { conn.(*net.TCPConn).CloseWrite() },
		func(conn net.Conn) { conn.(*net.TCPConn).CloseRead(); conn.(*net.TCPConn).CloseWrite() },
	} {
		for _, session := range s.store.sessions.all() {
			if session.client == client.name {
				reset(session.conn)
			}
		}
		want, ok := uint64(i+1), client.ok.Load()
		eventually(t, "the client is back", func() bool { return client.redials.Load() == want && client.ok.Load() > ok })
	}

	s.do("POST", "/admin/trouble/stall", nil)
	eventually(t, "the windows are full", func() bool { return s.admin.load.outstanding() == 12 })
	eventually(t, "they are queued", func() bool { return lengths(s.store.handler) == [3]int{4, 8, 0} })
	var one, other struct{ Running, Queued []requestShape }
	s.json("GET", "/admin/requests", &one)
	s.json("GET", "/admin/requests", &other)
	for i, r := range one.Queued {
		if o := other.Queued[i]; o.ID != r.ID || o.AgeMS < r.AgeMS || o.State != "RequestQueued" || o.Session == 0 {
			t.Errorf("request %+v, then %+v", r, o)
		}
	}
	s.do("POST", "/admin/trouble/unstall", nil)
	var frozen struct{ Outstanding int }
	s.json("POST", "/admin/trouble/freeze", &frozen)
	sent := client.sent.Load()
	var verdict Verdict
	s.json("GET", "/admin/verify", &verdict)
	if frozen.Outstanding != 0 || client.sent.Load() != sent || verdict.Result != "ok" {
		t.Errorf("frozen: %+v, %d sent, %v", frozen, client.sent.Load()-sent, verdict.Violations)
	}
}

// TestRoles runs three stores and a gateway over TCP; one store fails.
func TestRoles(t *testing.T) {
	type node struct {
		store *Store
		block *BlockServer
	}
	up := func(i int, address, dir string) *node {
		t.Helper()
		c := testConfig(t, "-role", "store", "-services", "1", "-first-service", fmt.Sprint(i), "-store-listen", address,
			"-data", dir)
		s := newStore(c)
		s.addLocalServices(c)
		b, err := newBlockServer(s, c)
		if err != nil {
			t.Fatal(err)
		}
		return &node{s, b}
	}
	var nodes []*node
	var addresses, dirs []string
	for i := 0; i < 3; i++ {
		dirs = append(dirs, t.TempDir())
		nodes = append(nodes, up(i, "127.0.0.1:0", dirs[i]))
		addresses = append(addresses, nodes[i].block.listener.Addr().String())
	}
	c := testConfig(t, "-role", "gateway", "-store", strings.Join(addresses, ","), "-objects", "60")
	gateway := newStore(c)
	if err := gateway.addRemoteServices(c.stores); err != nil {
		t.Fatal(err)
	}
	if err := seedStore(gateway, c.seed, c.objects); err != nil {
		t.Fatal(err)
	}
	wantSound(t, gateway)
	whole := contents(t, gateway)
	cobs := 0
	for _, n := range nodes {
		wantSound(t, n.store)
		cobs += len(n.store.cobs)
	}
	if cobs != len(gateway.cobs) {
		t.Errorf("%d cobs in the stores, %d in the gateway", cobs, len(gateway.cobs))
	}

	nodes[1].store.services[0].change(ServiceFailed)
	if contents(t, gateway) != whole {
		t.Error("other contents with a store failed")
	}
	failed := 0
	for i := 0; i < 60; i++ {
		if _, err := gateway.put(seedName(c.seed, i), []byte("lost"), Values{}); err != nil {
			failed++
		}
	}
	if failed != 60 || contents(t, gateway) != whole {
		t.Errorf("%d of 60 puts failed with a store failed", failed)
	}
	nodes[1].store.services[0].change(ServiceStarting)
	nodes[1].store.services[0].advance()
	wantSound(t, gateway)

	if err := gateway.remove(seedName(c.seed, 3)); err != nil {
		t.Error(err)
	}
	whole = contents(t, gateway)
	if err := nodes[2].block.close(); err != nil {
		t.Error(err)
	}
	for _, s := range gateway.services {
		if peer := s.volume.(remoteVolume).peer; peer.address == addresses[2] {
			peer.mu.Lock()
			peer.conn.Close() // as when the store's process ends
			peer.mu.Unlock()
		}
	}
	if contents(t, gateway) != whole {
		t.Error("other contents with a store gone")
	}
	nodes[2] = up(2, addresses[2], dirs[2])
	wantSound(t, gateway)
	if contents(t, gateway) != whole {
		t.Error("other contents with a store restarted")
	}
	for _, n := range nodes {
		wantSound(t, n.store)
		n.block.close()
	}
}

func TestFlags(t *testing.T) {
	for _, flags := range []string{
		"-role none", "-role gateway", "-role client", "-objects -1", "-units 0", "-units 6",
		"-services 0", "-block-size 1", "-fanout 2", "-workers 0", "-flush 0s", "extra",
	} {
		f := strings.Fields(flags)
		if _, err := parseFlags("test", f); err == nil {
			t.Errorf("%s: accepted", flags)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	h := &Heartbeat{}
	begin := time.Now()
	h.since, h.last = begin, begin
	for _, gap := range []time.Duration{1, 30, 2} {
		h.tick(h.last.Add(gap * time.Second))
	}
	if ticks, gap, _ := h.report(); ticks != 3 || gap != 30*time.Second {
		t.Errorf("%d ticks, gap %v", ticks, gap)
	}
	if ticks, gap, _ := h.report(); ticks != 0 || gap > time.Second {
		t.Errorf("after a report: %d ticks, gap %v", ticks, gap)
	}
}

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestNATS(t *testing.T) {
	if !mayAttach() {
		t.Skip("processes may not be stopped here")
	}
	for _, version := range versions([]string{"2.15"}, "2.9", "2.10", "2.11", "2.12", "2.15@go1.27.3") {
		t.Run(version, func(t *testing.T) {
			t.Run("clients", func(t *testing.T) { natsClients(t, version) })
			t.Run("routes", func(t *testing.T) { natsRoutes(t, version) })
			t.Run("jetstream", func(t *testing.T) { natsJetStream(t, version) })
		})
	}
}

const natsAccounts = `
accounts: {
  A: { users: [ {user: ann, password: secret} ] }
  B: { users: [ {user: bob, password: secret} ] }
}
max_pending: 4194304
`

// maxPending is what natsAccounts lets wait for a client.
const maxPending = 4194304

// natsClients compares clients, subscriptions, slow consumers and the server's counters, at rest after a load; and
// looks at them under load.
func natsClients(t *testing.T, version string) {
	s := startNATS(t, version, natsAccounts)
	const ann, bob = `,"user":"ann","pass":"secret"`, `,"user":"bob","pass":"secret"`
	var clients []*natsClient
	for i := range 60 {
		options := ann
		if i%5 == 4 {
			options = bob
		}
		c := s.connect(t, fmt.Sprintf("client-%d", i), fmt.Sprintf(`%s,"version":"1.%d"`, options, i%7), false)
		for sub := range i % 6 {
			c.send("SUB orders.%d.* %d\r\nSUB orders.*.%d workers s%d\r\nSUB all.%d.> x%d\r\n", sub, sub, i, sub, i,
				sub)
		}
		c.flush()
		clients = append(clients, c)
	}
	clients[1].send("SUB orders.0.limited last\r\nUNSUB last 1000\r\n")
	natsUnderLoad(t, s, clients)
	natsDeaf(t, s, ann, clients[0])
	agree(t, "clients", func() []record {
		rows := recipeRows(t, s.pid, "nats-clients")
		for _, r := range rows {
			r["rtt"] = truncatedRTT(r["rtt"])
		}
		return rows
	}, func() []record { return s.clients(t, !slices.Contains([]string{"2.9", "2.10", "2.11"}, version)) })
	natsSubscriptions(t, s)
	agree(t, "slow consumers", func() []record { return recipeRows(t, s.pid, "nats-slow") }, func() []record {
		var want []record
		for _, c := range s.connz(t) {
			if number(c["pending_bytes"]) > maxPending/100 {
				r := renamed(c, "cid", "cid", "name", "name", "pending", "pending_bytes")
				r["max_pending"], r["stalls_producers"] = json.Number(fmt.Sprint(maxPending)), true
				want = append(want, r)
			}
		}
		return want
	})
	stdout, _, code := askRi(t, "run", "nats-slow", "-p", fmt.Sprint(s.pid))
	if code != 3 || !strings.Contains(stdout, "deaf) reads too slowly") {
		t.Errorf("nats-slow exits with %d, want 3\n%s", code, stdout)
	}
	if stdout, _, code = askRi(t, "check", "-p", fmt.Sprint(s.pid)); code != 3 ||
		!strings.Contains(stdout, "most behind: connection ") ||
		!strings.Contains(stdout, "next        ri run nats-clients") {
		t.Errorf("check exits with %d, want 3, and doesn't say who is behind, or what to run next\n%s", code, stdout)
	}
	natsVarz(t, s)
	if version == "2.10" || version == "2.15" {
		keepRecording(t, s.pid, "nats-"+version, "nats-clients", "nats-subs", "nats-slow", "nats-server")
	}
	if allVersions() {
		answersAlike(t, s.pid)
	}
}

// natsUnderLoad looks while clients publish: whatever the moment, no client and no subscription is there twice, and no
// message is out without one in.
func natsUnderLoad(t *testing.T, s natsServer, clients []*natsClient) {
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			clients[i%60].publish(fmt.Sprintf("orders.%d.%d", i%7, i%60), "hello")
			if i%1000 == 999 {
				clients[i%60].flush()
			}
		}
	}()
	finish := sync.OnceFunc(func() { close(stop); <-stopped })
	t.Cleanup(finish)
	for range 3 {
		rows := recipeRows(t, s.pid, "nats-clients")
		cids := map[int64]bool{}
		for _, r := range rows {
			cids[number(r["cid"])] = true
			if number(r["in_bytes"]) != 5*number(r["in_msgs"]) {
				t.Errorf("messages have 5 bytes: %v", r)
			}
		}
		if len(rows) != 60 || len(cids) != 60 {
			t.Errorf("%d rows, %d clients", len(rows), len(cids))
		}
		subs := recipeRows(t, s.pid, "nats-subs")
		if want := 3 * 10 * (0 + 1 + 2 + 3 + 4 + 5); len(subs) != want+1 {
			t.Errorf("%d subscriptions, want %d", len(subs), want+1)
		}
	}
	finish()
	for _, c := range clients {
		c.flush()
	}
}

// natsDeaf connects a client that doesn't read. What it doesn't read waits in the server, up to where it would be cut
// off.
func natsDeaf(t *testing.T, s natsServer, options string, from *natsClient) {
	deaf := s.connect(t, "deaf", options, true)
	deaf.send("SUB flood.> 1\r\nPING\r\n")
	for deaf.line() != "PONG" {
	}
	text := strings.Repeat("x", 10_000)
	err := eventually("much is pending", func() (bool, error) {
		for range 20 {
			from.publish("flood.it", text)
		}
		from.flush()
		conns := list(ask(t, s.monitor+"/connz?sort=pending&limit=1"), "connections")
		return number(conns[0]["pending_bytes"]) > maxPending*8/10, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// connz is what the server says of its connections.
func (s natsServer) connz(t *testing.T) []record {
	return list(ask(t, s.monitor+"/connz?subs=detail&auth=true&limit=10000"), "connections")
}

// clients are the rows of nats-clients as the server's API has them.
func (s natsServer) clients(t *testing.T, countsStalls bool) (want []record) {
	for _, c := range s.connz(t) {
		r := renamed(c, "cid", "cid", "name", "name", "account", "account", "user", "authorized_user", "lang", "lang",
			"version", "version", "subs", "subscriptions", "in_msgs", "in_msgs", "in_bytes", "in_bytes",
			"out_msgs", "out_msgs", "out_bytes", "out_bytes", "pending", "pending_bytes", "start", "start",
			"last", "last_activity")
		if r["version"] == nil {
			r["version"] = ""
		}
		r["addr"] = fmt.Sprintf("%v:%v", c["ip"], c["port"])
		r["kind"] = map[any]string{"Client": "CLIENT", "Leafnode": "LEAF"}[c["kind"]]
		r["rtt"] = nanoseconds(c["rtt"])
		if countsStalls {
			r["stalls"] = json.Number("0")
			if c["stalls"] != nil {
				r["stalls"] = c["stalls"]
			}
		}
		want = append(want, r)
	}
	return want
}

// natsSubscriptions compares those of clients, and all with the server's own.
func natsSubscriptions(t *testing.T, s natsServer) {
	subscription := func(sub record) record {
		r := renamed(sub, "subject", "subject", "queue", "qgroup", "sid", "sid", "msgs", "msgs", "max", "max", "cid",
			"cid")
		if r["queue"] == nil {
			r["queue"] = ""
		}
		if r["max"] == nil {
			r["max"] = json.Number("0")
		}
		return r
	}
	agree(t, "subscriptions of clients", func() []record { return recipeRows(t, s.pid, "nats-subs") }, func() []record {
		var want []record
		for _, c := range s.connz(t) {
			for _, sub := range list(c, "subscriptions_list_detail") {
				r := subscription(sub)
				r["client"], r["account"] = c["name"], c["account"]
				want = append(want, r)
			}
		}
		return want
	})
	agree(t, "all subscriptions", func() []record {
		return recipeRows(t, s.pid, "nats-subs", "internal=true")
	}, func() []record {
		var want []record
		for _, sub := range list(ask(t, s.monitor+"/subsz?subs=1&limit=100000"), "subscriptions_list") {
			r := subscription(sub)
			r["account"] = sub["account"]
			want = append(want, r)
		}
		return want
	})
}

// jetStreamLoad makes streams and consumers in all states that a stream and a consumer can be in.
func jetStreamLoad(t *testing.T, s natsServer) {
	c := s.connect(t, "jetstream", "", false)
	c.send("SUB answers.%p 1\r\n", c)
	for i, storage := range []string{"file", "memory", "file"} {
		name := fmt.Sprintf("STREAM%d", i)
		c.request("$JS.API.STREAM.CREATE."+name,
			fmt.Sprintf(`{"name":%q,"subjects":["s%d.>"],"storage":%q,"num_replicas":1,"retention":"limits"}`, name, i,
				storage))
		for n := range 40 * i {
			c.request(fmt.Sprintf("s%d.subject%d", i, n%7), fmt.Sprint("message ", n))
		}
		for _, config := range []string{`"durable_name":"pull","ack_policy":"explicit"`,
			`"durable_name":"none","ack_policy":"none"`,
			`"durable_name":"push","ack_policy":"all","deliver_subject":"pushed"`} {
			durable := strings.Split(config, `"`)[3]
			c.request(fmt.Sprintf("$JS.API.CONSUMER.DURABLE.CREATE.%s.%s", name, durable),
				fmt.Sprintf(`{"stream_name":%q,"config":{%s,"deliver_policy":"all","replay_policy":"instant",
				"ack_wait":3600000000000}}`, name, config))
		}
	}
	c.request("$JS.API.STREAM.MSG.DELETE.STREAM1", `{"seq":5}`)
	c.request("$JS.API.STREAM.MSG.DELETE.STREAM2", `{"seq":1}`)

	// A worker takes ten, acknowledges four of them, gives one back, and takes it again; then it waits for more than
	// there is.
	worker := s.connect(t, "worker", "", false)
	worker.send("SUB work 1\r\n")
	worker.send("PUB $JS.API.CONSUMER.MSG.NEXT.STREAM2.pull work 2\r\n10\r\n")
	for range 10 {
		<-worker.heard
	}
	for n := 1; n <= 5; n++ {
		answer := "+ACK"
		if n == 5 {
			answer = "-NAK"
		}
		// $JS.ACK.STREAM.CONSUMER.DELIVERED.STREAM SEQ.CONSUMER SEQ.TIME.PENDING
		worker.publish(fmt.Sprintf("$JS.ACK.STREAM2.pull.1.%d.%d.1.0", n+1, n), answer)
	}
	consumers := func() (all []record) {
		for _, account := range list(ask(t, s.monitor+"/jsz?accounts=true&streams=true&consumers=true"),
			"account_details") {
			for _, stream := range list(account, "stream_detail") {
				all = append(all, list(stream, "consumer_detail")...)
			}
		}
		return all
	}
	if err := eventually("what was given back is given again", func() (bool, error) {
		worker.send("PUB $JS.API.CONSUMER.MSG.NEXT.STREAM2.pull work 1\r\n1\r\n")
		<-worker.heard
		redelivered := int64(0)
		for _, c := range consumers() {
			redelivered += number(c["num_redelivered"])
		}
		return redelivered == 1, nil
	}); err != nil {
		t.Fatal(err)
	}
	worker.send("PUB $JS.API.CONSUMER.MSG.NEXT.STREAM0.pull work 2\r\n10\r\n")
	receiver := s.connect(t, "receiver", "", false)
	receiver.send("SUB pushed 1\r\n")
	for range 39 + 79 {
		<-receiver.heard
	}
	for _, c := range []*natsClient{c, worker, receiver} {
		c.flush()
	}
}

// natsVarz compares all that nats-server gives with /varz, whatever it is.
func natsVarz(t *testing.T, s natsServer) {
	t.Helper()
	var names []string
	agree(t, "the server", func() []record {
		names = nil
		row := record{}
		for _, r := range recipeRows(t, s.pid, "nats-server") {
			name := r["name"].(string)
			row[name] = r["value"]
			names = append(names, name)
		}
		return []record{row}
	}, func() []record {
		varz := ask(t, s.monitor+"/varz")
		want := parts(varz, "server_id", "server_name", "version", "go", "host", "port", "start", "config_load_time",
			"max_connections", "max_payload", "max_pending",
			"ping_interval", "write_deadline", "connections", "total_connections", "routes", "remotes", "leafnodes",
			"subscriptions", "in_msgs", "in_bytes", "out_msgs", "out_bytes",
			"slow_consumers", "slow_consumer_stats.clients", "slow_consumer_stats.routes",
			"slow_consumer_stats.gateways", "slow_consumer_stats.leafs")
		for _, later := range []string{"in_client_msgs", "in_client_bytes", "out_client_msgs", "out_client_bytes",
			"stale_connections", "stalled_clients"} {
			if value, ok := varz[later]; ok {
				want[later] = value
			}
		}
		if cluster := varz["cluster"].(record)["name"]; cluster != nil {
			want["cluster"] = cluster
		}
		want["jetstream"] = varz["jetstream"].(record)["config"] != nil
		if want["jetstream"] == true {
			for name, value := range renamed(varz, "jetstream.memory", "jetstream.stats.memory", "jetstream.storage",
				"jetstream.stats.storage", "jetstream.accounts", "jetstream.stats.accounts",
				"jetstream.api.total", "jetstream.stats.api.total", "jetstream.api.errors",
				"jetstream.stats.api.errors") {
				want[name] = value
			}
		}
		return []record{want}
	})
	for _, name := range names {
		if name == "accounts" {
			return
		}
	}
	t.Errorf("nats-server gives %v", names)
}

// truncatedRTT is a round trip as the API rounds it.
func truncatedRTT(ns any) json.Number {
	d := time.Duration(number(ns))
	if d > time.Microsecond && d < time.Millisecond {
		d = d.Truncate(time.Microsecond)
	}
	return json.Number(fmt.Sprint(int64(d)))
}

func natsRoutes(t *testing.T, version string) {
	port := freePort(t)
	a := startNATS(t, version, fmt.Sprintf("server_name: a\ncluster: {name: east, listen: \"127.0.0.1:%d\", "+
		"no_advertise: true}\n", port))
	b := startNATS(t, version, fmt.Sprintf("server_name: b\ncluster: {name: east, listen: \"127.0.0.1:-1\", "+
		"no_advertise: true, routes: [\"nats://127.0.0.1:%d\"]}\n", port))
	receiver := b.connect(t, "receiver", "", false)
	receiver.send("SUB orders.* 1\r\n")
	receiver.flush()
	if err := eventually("the servers have their routes", func() (bool, error) {
		subs := 0
		for _, r := range list(ask(t, a.monitor+"/routez"), "routes") {
			if r["account"] == nil {
				subs += int(number(r["subscriptions"]))
			}
		}
		return subs > 0, nil
	}); err != nil {
		t.Fatal(err)
	}
	sender := a.connect(t, "sender", "", false)
	for i := range 100 {
		sender.publish("orders."+fmt.Sprint(i), "hello")
	}
	sender.flush()
	for range 100 {
		<-receiver.heard
	}
	for _, s := range []natsServer{a, b} {
		agree(t, "routes", func() []record {
			rows := recipeRows(t, s.pid, "nats-routes")
			for _, r := range rows {
				r["rtt"] = truncatedRTT(r["rtt"])
			}
			return rows
		}, func() []record {
			var want []record
			for _, c := range list(ask(t, s.monitor+"/routez"), "routes") {
				r := renamed(c, "rid", "rid", "remote", "remote_name", "remote_id", "remote_id", "solicited",
					"did_solicit", "configured", "is_configured", "subs", "subscriptions",
					"in_msgs", "in_msgs", "in_bytes", "in_bytes", "out_msgs", "out_msgs", "out_bytes", "out_bytes",
					"pending", "pending_size", "start", "start", "compression", "compression",
					"account", "account")
				if r["account"] == nil {
					r["account"] = ""
				}
				r["addr"] = fmt.Sprintf("%v:%v", c["ip"], c["port"])
				r["rtt"] = nanoseconds(c["rtt"])
				want = append(want, r)
			}
			return want
		})
	}
	natsVarz(t, a)
	if allVersions() {
		answersAlike(t, a.pid)
	}
}

// freePort gives a port that nobody listened on a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func natsJetStream(t *testing.T, version string) {
	s := startNATS(t, version, "jetstream: {store_dir: \"$DATA\"}\n")
	jetStreamLoad(t, s)
	streams := func() []record {
		var all []record
		for _, account := range list(ask(t, s.monitor+"/jsz?accounts=true&streams=true&consumers=true&config=true"),
			"account_details") {
			for _, stream := range list(account, "stream_detail") {
				stream["account"] = account["name"]
				all = append(all, stream)
			}
		}
		return all
	}
	zero := func(r record, field string) {
		if r[field] == nil {
			r[field] = json.Number("0")
		}
	}
	agree(t, "streams", func() []record { return recipeRows(t, s.pid, "nats-streams") }, func() []record {
		var want []record
		for _, stream := range streams() {
			r := renamed(stream, "account", "account", "stream", "name", "messages", "state.messages", "bytes",
				"state.bytes", "first_seq", "state.first_seq", "last_seq", "state.last_seq",
				"last_time", "state.last_ts", "deleted", "state.num_deleted", "subjects", "state.num_subjects",
				"consumers", "state.consumer_count", "replicas", "config.num_replicas", "created", "created")
			zero(r, "deleted")
			zero(r, "subjects")
			r["storage"] = map[any]string{"file": "FileStorage",
				"memory": "MemoryStorage"}[parts(stream, "config.storage")["config.storage"]]
			want = append(want, r)
		}
		return want
	})
	redelivered, waiting := int64(0), int64(0)
	agree(t, "consumers", func() []record { return recipeRows(t, s.pid, "nats-consumers") }, func() []record {
		var want []record
		redelivered, waiting = 0, 0
		for _, stream := range streams() {
			for _, consumer := range list(stream, "consumer_detail") {
				r := renamed(consumer, "stream", "stream_name", "consumer", "name", "delivered",
					"delivered.consumer_seq", "delivered_stream", "delivered.stream_seq", "acked",
					"ack_floor.consumer_seq",
					"acked_stream", "ack_floor.stream_seq", "pending", "num_pending", "ack_pending", "num_ack_pending",
					"redelivered", "num_redelivered", "waiting", "num_waiting",
					"max_ack_pending", "config.max_ack_pending", "created", "created")
				r["account"] = stream["account"]
				zero(r, "max_ack_pending")
				redelivered += number(r["redelivered"])
				waiting += number(r["waiting"])
				want = append(want, r)
			}
		}
		return want
	})
	if redelivered != 1 || waiting != 1 {
		t.Errorf("the load is not what it was meant to be: %d redelivered, %d waiting", redelivered, waiting)
	}
	natsVarz(t, s)
	if version == "2.15" {
		keepRecording(t, s.pid, "nats-2.15-jetstream", "nats-streams", "nats-consumers", "nats-server")
		answersAlike(t, s.pid)
	}
}

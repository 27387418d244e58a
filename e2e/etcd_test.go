package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// etcdServer is an etcd of a test's own, with its JSON gateway.
type etcdServer struct {
	t   *testing.T
	pid int
	url string
}

func startEtcd(t *testing.T, version string) *etcdServer {
	t.Helper()
	exe := buildProgram(t, "etcd-"+version, ".")
	client, peer := fmt.Sprint("http://127.0.0.1:", freePort(t)), fmt.Sprint("http://127.0.0.1:", freePort(t))
	cmd := background(t, exe, "--name=one", "--data-dir="+t.TempDir(), "--listen-client-urls="+client,
		"--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=one="+peer,
		"--log-level=error")
	s := &etcdServer{t, cmd.Process.Pid, client}
	if err := eventually("etcd answers", func() (bool, error) {
		resp, err := http.Get(client + "/health")
		if err != nil {
			return false, nil
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK, nil
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

// post asks the gateway.
func (s *etcdServer) post(path string, question record) record {
	s.t.Helper()
	text, err := json.Marshal(question)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.Post(s.url+path, "application/json", bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s %v\n%s", path, resp.Status, err, body)
	}
	var doc record
	decode(s.t, body, &doc)
	return doc
}

// etcdBytes is how the gateway writes bytes.
func etcdBytes(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func etcdText(v any) string {
	text, _ := v.(string)
	b, _ := base64.StdEncoding.DecodeString(text)
	return string(b)
}

// etcdInt is an int64 of the gateway, which writes it as a string, or leaves out 0.
func etcdInt(v any) json.Number {
	if text, ok := v.(string); ok {
		return json.Number(text)
	}
	return "0"
}

// etcdID is an id as etcdctl prints it: a lease's with 16 digits, a member's with as many as it has.
func etcdID(format string, v any) string {
	text, _ := v.(string)
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		signed, _ := strconv.ParseInt(text, 10, 64)
		n = uint64(signed)
	}
	return fmt.Sprintf(format, n)
}

// TestEtcd compares the etcd pack with what etcd's own API says.
func TestEtcd(t *testing.T) {
	needAttach(t)
	if !allVersions() {
		t.Skip("only with RI_VERSIONS=all, as etcd takes minutes to build: its pack is tested on recordings of it")
	}
	for _, version := range versions([]string{"3.7"}, "3.5", "3.6", "3.7@go1.27.3") {
		t.Run(version, func(t *testing.T) { etcdAPI(t, startEtcd(t, version), version) })
	}
}

func etcdAPI(t *testing.T, s *etcdServer, version string) {
	lease := s.post("/v3/lease/grant", record{"TTL": "6000"})["ID"]
	for i := range 300 { // more than a node of the index's tree holds
		question := record{"key": etcdBytes(fmt.Sprintf("key/%03d", i%250)),
			"value": etcdBytes(fmt.Sprint("value ", i))}
		if i%10 == 0 {
			question["lease"] = lease
		}
		s.post("/v3/kv/put", question)
	}
	s.post("/v3/kv/deleterange", record{"key": etcdBytes("key/007")})
	s.post("/v3/kv/compaction", record{"revision": "100", "physical": true})

	agree(t, "etcd-keys", func() []record { return recipeRows(t, s.pid, "etcd-keys") }, func() []record {
		var want []record
		for _, kv := range list(s.post("/v3/kv/range",
			record{"key": etcdBytes("\x00"), "range_end": etcdBytes("\x00")}), "kvs") {
			want = append(want, record{"key": etcdText(kv["key"]), "create_revision": etcdInt(kv["create_revision"]),
				"mod_revision": etcdInt(kv["mod_revision"]), "version": etcdInt(kv["version"])})
		}
		return want
	})
	agree(t, "etcd-leases", func() []record { return recipeRows(t, s.pid, "etcd-leases") }, func() []record {
		var want []record
		for _, l := range list(s.post("/v3/lease/leases", record{}), "leases") {
			told := s.post("/v3/lease/timetolive", record{"ID": l["ID"], "keys": true})
			keys, _ := told["keys"].([]any)
			want = append(want, record{"id": etcdID("%016x", l["ID"]), "ttl": etcdInt(told["grantedTTL"]) + "000000000",
				"keys": json.Number(fmt.Sprint(len(keys)))})
		}
		return want
	})
	agree(t, "etcd-members", func() []record { return recipeRows(t, s.pid, "etcd-members") }, func() []record {
		var want []record
		for _, m := range list(s.post("/v3/cluster/member/list", record{}), "members") {
			want = append(want, record{"id": etcdID("%x", m["ID"]), "name": m["name"],
				"peer_urls": m["peerURLs"].([]any)[0], "client_urls": m["clientURLs"].([]any)[0]})
		}
		return want
	})
	agree(t, "etcd-status", func() []record {
		named := record{}
		for _, row := range recipeRows(t, s.pid, "etcd-status") {
			named[row["name"].(string)] = row["value"]
		}
		return []record{parts(named, "member_id", "leader", "raft_term", "raft_index", "raft_applied_index", "revision",
			"db_size", "db_size_in_use", "db_quota", "compact_revision")}
	}, func() []record {
		told := s.post("/v3/maintenance/status", record{})
		return []record{{"member_id": etcdID("%x", parts(told, "header.member_id")["header.member_id"]),
			"leader":    etcdID("%x", told["leader"]),
			"raft_term": etcdInt(told["raftTerm"]), "raft_index": etcdInt(told["raftIndex"]),
			"raft_applied_index": etcdInt(told["raftAppliedIndex"]),
			"revision":           etcdInt(parts(told, "header.revision")["header.revision"]), "db_size": etcdInt(told["dbSize"]),
			"db_size_in_use":   etcdInt(told["dbSizeInUse"]),
			"db_quota":         s.metric("etcd_server_quota_backend_bytes"),
			"compact_revision": s.metric("etcd_debugging_mvcc_compact_revision")}}
	})
	if version == "3.7" {
		keepRecording(t, s.pid, "etcd-"+version, "etcd-keys", "etcd-leases", "etcd-members", "etcd-status")
	}
	if version == "3.7" && allVersions() {
		answersAlike(t, s.pid)
	}
}

// metric is a whole number of /metrics.
func (s *etcdServer) metric(name string) json.Number {
	s.t.Helper()
	body, err := request("GET", s.url+"/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return json.Number(strconv.FormatInt(int64(f), 10))
		}
	}
	s.t.Fatalf("/metrics has no %s", name)
	return ""
}

package e2e

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestCoreDNS compares the pack of CoreDNS with its metrics and with what it was asked.
func TestCoreDNS(t *testing.T) {
	needAttach(t)
	for _, version := range versions(nil, "1.15", "1.15@go1.27.3") {
		t.Run(version, func(t *testing.T) { coreDNS(t, version) })
	}
}

func coreDNS(t *testing.T, version string) {
	exe := buildProgram(t, "coredns-"+version, ".")
	folder, metrics := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	port := freePort(t)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	// Two zones that share a block, and one with another cache.
	corefile := fmt.Sprintf(`
example.org:%[1]d example.net:%[1]d {
    bind 127.0.0.1
    cache 3000
    file %[2]s/zone
    errors
    prometheus %[3]s
}
.:%[1]d {
    bind 127.0.0.1
    cache 3000 {
        success 5120 3000
        denial 2560 3000
    }
    template IN A test {
        answer "{{ .Name }} 6000 IN A 10.0.0.1"
    }
    prometheus %[3]s
}
`, port, folder, metrics)
	zone := "@ 3600 IN SOA ns admin 1 7200 3600 1209600 3600\n@ 3600 IN NS ns\nns 3600 IN A 127.0.0.1\nwww 2400 IN " +
		"A 10.1.1.1\nwww 2400 IN A 10.1.1.2\n"
	for name, text := range map[string]string{"Corefile": corefile, "zone": zone} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pid := background(t, exe, "-conf", filepath.Join(folder, "Corefile")).Process.Pid
	asked := []record{}
	look := func(zone, name string, rcode, records int, ttl string) {
		t.Helper()
		if err := eventually("CoreDNS answers",
			func() (bool, error) { return askName(address, name) == rcode, nil }); err != nil {
			t.Fatal(err)
		}
		kind := map[int]string{0: "answer", 3: "denial"}[rcode]
		asked = append(asked, record{"addr": "dns://" + address, "zone": zone, "kind": kind, "name": name, "type": "A",
			"rcode":   map[int]string{0: "NOERROR", 3: "NXDOMAIN"}[rcode],
			"records": json.Number(fmt.Sprint(records)), "ttl": json.Number(ttl)})
	}
	for i := range 300 {
		look(".", fmt.Sprintf("h%d.test.", i), 0, 1, "3000000000000")
	}
	look("example.net.", "www.example.org.", 0, 2, "2400000000000")
	look("example.net.", "nothing.example.org.", 3, 0, "3000000000000")
	agree(t, "the caches", func() []record { return recipeRows(t, pid, "coredns-cache") },
		func() []record { return asked })
	for _, r := range recipeRows(t, pid, "coredns-cache", "name=www", "sort=remaining") {
		if left := number(r["remaining"]); left <= 0 || left > int64(2400*time.Second) {
			t.Errorf("%v", r)
		}
	}
	agree(t, "zones", func() []record { return recipeRows(t, pid, "coredns-zones") }, func() []record {
		body, err := request("GET", "http://"+metrics+"/metrics")
		if err != nil {
			t.Fatal(err)
		}
		entries := map[string]json.Number{}
		for _, m := range regexp.MustCompile(
			`(?m)^coredns_cache_entries\{.*type="(\w+)".*zones="([^"]*)"\} (\S+)$`).FindAllStringSubmatch(string(body), -1) {
			f, _ := strconv.ParseFloat(m[3], 64)
			for zone := range strings.SplitSeq(m[2], ",") {
				entries[zone+" "+m[1]] = json.Number(strconv.Itoa(int(f)))
			}
		}
		row := func(zone, plugins string, answers, denials int) record {
			return record{"addr": "dns://" + address, "zone": zone, "plugins": plugins,
				"answers": entries[zone+" success"], "denials": entries[zone+" denial"],
				"max_answers": json.Number(fmt.Sprint(answers)), "max_denials": json.Number(fmt.Sprint(denials))}
		}
		return []record{row("example.org.", "cache, errors, file, prometheus", 10000, 10000),
			row("example.net.", "cache, errors, file, prometheus", 10000, 10000),
			row(".", "cache, prometheus, template", 5120, 2560)}
	})
	if version == "1.15" {
		keepRecording(t, pid, "coredns-1.15", "coredns-cache", "coredns-zones")
	}
	answersAlike(t, pid)
}

// TestCoreDNSForward: ri check is silent of a forward plugin that nothing is known against, and tells of upstreams
// whose health checks fail.
func TestCoreDNSForward(t *testing.T) {
	needAttach(t)
	needLong(t, "CoreDNS takes minutes to build")
	exe := buildProgram(t, "coredns-1.15", ".")
	folder, port, nowhere := t.TempDir(), freePort(t), freePort(t)
	corefile := fmt.Sprintf(`
up.test:%[1]d {
    bind 127.0.0.1
    template IN A up.test {
        answer "{{ .Name }} 60 IN A 10.0.0.1"
    }
}
half.test:%[1]d {
    bind 127.0.0.1
    forward up.half.test 127.0.0.1:%[1]d
    forward half.test 127.0.0.1:%[1]d 127.0.0.1:%[2]d {
        policy round_robin
        health_check 50ms
    }
}
down.test:%[1]d {
    bind 127.0.0.1
    forward . 127.0.0.1:%[2]d {
        health_check 50ms
    }
}
`, port, nowhere)
	if err := os.WriteFile(filepath.Join(folder, "Corefile"), []byte(corefile), 0o600); err != nil {
		t.Fatal(err)
	}
	pid := background(t, exe, "-conf", filepath.Join(folder, "Corefile")).Process.Pid
	address := fmt.Sprintf("127.0.0.1:%d", port)
	if err := eventually("CoreDNS answers", func() (bool, error) {
		return askName(address, "a.up.test.") == 0, nil
	}); err != nil {
		t.Fatal(err)
	}
	said := func() []string {
		out, err := exec.Command(filepath.Join(bin, "ri"), "check", "-p", fmt.Sprint(pid), "--only", "coredns-forward",
			"--json").Output()
		var answer struct {
			Findings []struct{ Severity, What, Where string }
		}
		if e := json.Unmarshal(out, &answer); e != nil {
			t.Fatal(e, err)
		}
		var list []string
		for _, f := range answer.Findings {
			list = append(list, f.Severity+": "+f.What+" ("+f.Where+")")
		}
		slices.Sort(list)
		return list
	}
	if list := said(); len(list) > 0 {
		t.Errorf("of a healthy server was said: %q", list)
	}
	place := " (zone %s of dns://" + address + ")"
	want := []string{
		"critical: forward .: no upstream of 1 passes its health check: each is asked all the same, by chance" +
			fmt.Sprintf(place, "down.test."),
		"warning: forward half.test.: 1 of 2 upstreams are down" + fmt.Sprintf(place, "half.test."),
	}
	var list []string
	if err := eventually("upstreams are down", func() (bool, error) {
		askName(address, "a.half.test.")
		askName(address, "a.down.test.")
		list = said()
		return slices.Equal(list, want), nil
	}); err != nil {
		t.Errorf("%v: %q, want %q", err, list, want)
	}
}

// askName asks a server for an address by UDP and gives the code of its answer, -1 without one.
func askName(server, name string) int {
	conn, err := net.Dial("udp", server)
	if err != nil {
		return -1
	}
	defer conn.Close()
	question := []byte{0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		question = append(append(question, byte(len(label))), label...)
	}
	question = binary.BigEndian.AppendUint16(append(question, 0), 1)
	question = binary.BigEndian.AppendUint16(question, 1)
	conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write(question); err != nil {
		return -1
	}
	answer := make([]byte, 4096)
	if n, err := conn.Read(answer); err != nil || n < 12 {
		return -1
	}
	return int(answer[3] & 15)
}

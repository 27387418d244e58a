package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ri/symbols/testprogram"
)

// saidOfPrometheus is what ri check says of a server of Prometheus.
func saidOfPrometheus(pid int) string {
	said, _ := exec.Command(filepath.Join(bin, "ri"), "check", "-p", fmt.Sprint(pid), "--only",
		"prometheus-status").CombinedOutput()
	return string(said)
}

// TestPrometheusStatus: ri check tells of targets and rules that failed, of a full queue and of a damaged database, and
// is silent where nothing is wrong. The program has the types of Prometheus 3.15 as far as that goes; the real one,
// which takes long to build, is looked at by TestPrometheus.
func TestPrometheusStatus(t *testing.T) {
	needAttach(t)
	exe := filepath.Join(t.TempDir(), "prometheus")
	build := exec.Command("go", "build", "-trimpath", "-o", exe, "./cmd/prometheus")
	build.Dir = "testdata/prometheus"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	begin := func(args ...string) int {
		cmd := exec.Command(exe, args...)
		in, out := testprogram.Run(t, cmd)
		t.Cleanup(func() { cmd.Process.Kill(); in.Close(); cmd.Wait() })
		if line, err := out.ReadString('\n'); line != "ready\n" {
			t.Fatal(line, err)
		}
		return cmd.Process.Pid
	}
	if said := saidOfPrometheus(begin()); !strings.Contains(said, "nothing found; checked: prometheus-status") {
		t.Errorf("of a healthy server was said: %s", said)
	}
	said := saidOfPrometheus(begin("ill"))
	for _, want := range []string{"pool node: 1 of 2 targets down", "127.0.0.1:9100: it failed",
		"group g: 1 of 2 rules failed", "HighLoad: it failed", "the queue of alerts to http://am:9093 is full",
		"compactions of the database that failed since it was started: 2", "damage of the write-ahead log"} {
		if !strings.Contains(said, want) {
			t.Errorf("it isn't said that %s: %s", want, said)
		}
	}
}

// TestPrometheus compares what ri reads of a Prometheus server with what its API says. It takes too long to build for
// every run of the tests: RI_PROMETHEUS names an executable, and `make test-packs` builds one.
func TestPrometheus(t *testing.T) {
	exe := os.Getenv("RI_PROMETHEUS")
	if exe == "" {
		t.Skip("RI_PROMETHEUS names no executable of Prometheus; make test-packs builds one")
	}
	if !mayAttach() {
		t.Skip("processes may not be stopped here")
	}
	metrics := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/metrics":
			for i := range 300 {
				fmt.Fprintf(w, "orders{customer=\"c%d\",place=\"%s\"} %d\n", i, strings.Repeat("long ", i), i)
			}
			fmt.Fprintln(w, `odd{text="a\"b\\c\nd",empty=""} 2.5`)
		default:
			http.Error(w, "no", http.StatusTeapot)
		}
	}))
	t.Cleanup(metrics.Close)
	address := strings.TrimPrefix(metrics.URL, "http://")
	folder, port := t.TempDir(), freePort(t)
	config := filepath.Join(folder, "prometheus.yml")
	// So long that there is time for both questions between two scrapes, on a busy machine too.
	text := fmt.Sprintf(`
global: {scrape_interval: 15s}
scrape_configs:
- job_name: self
  static_configs: [{targets: ['127.0.0.1:%d']}]
- job_name: orders
  params: {"q u": ["a b", "c&d"], first: [x]}
  static_configs: [{targets: ['%s'], labels: {team: "a \"b\" \\ c", __param_first: "y/z"}}]
- job_name: refused
  static_configs: [{targets: ['127.0.0.1:1']}]
- job_name: teapot
  metrics_path: /tea
  static_configs: [{targets: ['%s']}]
`, port, address, address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := background(t, exe, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(folder, "data"),
		fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port))
	pid := cmd.Process.Pid
	api := fmt.Sprintf("http://127.0.0.1:%d/api/v1/", port)
	err := eventually("Prometheus has scraped all targets", func() (bool, error) {
		body, err := request("GET", api+"targets?state=active")
		if err != nil {
			return false, nil // it doesn't listen yet
		}
		var answer struct {
			Data struct{ ActiveTargets []struct{ Health string } }
		}
		err = json.Unmarshal(body, &answer)
		return len(answer.Data.ActiveTargets) == 4 &&
			!slices.Contains(answer.Data.ActiveTargets, struct{ Health string }{"unknown"}), err
	})
	if err != nil {
		t.Fatal(err)
	}
	prometheusTargets(t, pid, api)
	for _, pool := range []string{"refused", "teapot"} {
		if said := saidOfPrometheus(pid); !strings.Contains(said, "pool "+pool+": 1 of 1 target") {
			t.Errorf("ri check doesn't tell of pool %s: %s", pool, said)
		}
	}
	// Without targets the head comes to rest, once the marks are written that their series ended.
	if err := os.WriteFile(config, []byte("scrape_configs: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	err = eventually("Prometheus has dropped its targets", func() (bool, error) {
		return len(list(ask(t, api+"targets"), "data.activeTargets")) == 0, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	prometheusHead(t, pid, api)
	prometheusSeries(t, pid, api)
}

// prometheusSet writes labels as the pack does; those that are left out are for the caller to take away.
func prometheusSet(labels record) string {
	var parts []string
	for name, value := range labels {
		escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value.(string))
		parts = append(parts, fmt.Sprintf(`%s="%s"`, name, escaped))
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ", ") + "}"
}

func prometheusTargets(t *testing.T, pid int, api string) {
	t.Helper()
	agree(t, "targets", func() []record { return recipeRows(t, pid, "prometheus-targets") }, func() []record {
		var want []record
		for _, target := range list(ask(t, api+"targets"), "data.activeTargets") {
			r := renamed(target, "pool", "scrapePool", "url", "scrapeUrl", "health", "health", "last_scrape", "lastScrape",
				"error", "lastError", "interval", "scrapeInterval", "instance", "labels.instance")
			r["labels"] = prometheusSet(target["labels"].(record))
			seconds, _ := target["lastScrapeDuration"].(json.Number).Float64()
			r["duration"] = json.Number(fmt.Sprint(time.Duration(seconds * 1e9).Round(1).Nanoseconds()))
			want = append(want, r)
		}
		return want
	})
	down := recipeRows(t, pid, "prometheus-targets", "health=down", "pool=teapot")
	if len(down) != 1 || down[0]["pool"] != "teapot" {
		t.Errorf("health=down pool=teapot gives %v", down)
	}
}

// prometheusStatus asks with a limit of its own each time: Prometheus keeps an answer for 30 seconds, for the same
// limit.
func prometheusStatus(t *testing.T, api string) func() record {
	limit := 5000
	return func() record {
		limit++
		return ask(t, fmt.Sprintf("%sstatus/tsdb?limit=%d", api, limit))["data"].(record)
	}
}

func prometheusHead(t *testing.T, pid int, api string) {
	t.Helper()
	status := prometheusStatus(t, api)
	agree(t, "the head", func() []record {
		rows := recipeRows(t, pid, "prometheus-head")
		for _, r := range rows {
			r["min_time"], r["max_time"] = milliseconds(t, r["min_time"]), milliseconds(t, r["max_time"])
		}
		return rows
	}, func() []record {
		return []record{renamed(status(), "series", "headStats.numSeries", "chunks", "headStats.chunkCount", "label_pairs",
			"headStats.numLabelPairs", "min_time", "headStats.minTime", "max_time", "headStats.maxTime")}
	})
}

func milliseconds(t *testing.T, rfc3339 any) json.Number {
	t.Helper()
	text, _ := rfc3339.(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Error(err)
	}
	return json.Number(fmt.Sprint(at.Round(time.Millisecond).UnixMilli()))
}

func prometheusSeries(t *testing.T, pid int, api string) {
	t.Helper()
	status := prometheusStatus(t, api)
	stat := func(field, key, value string) []record {
		var want []record
		for _, s := range list(status(), field) {
			want = append(want, renamed(s, key, "name", value, "value"))
		}
		return want
	}
	agree(t, "metrics", func() []record { return recipeRows(t, pid, "prometheus-series", "limit=5000") }, func() []record {
		return stat("seriesCountByMetricName", "metric", "series")
	})
	labels := func() []record { return recipeRows(t, pid, "prometheus-postings", "limit=5000") }
	agree(t, "labels", labels, func() []record { return stat("labelValueCountByLabelName", "label", "values") })
	agree(t, "labels' bytes", labels, func() []record { return stat("memoryInBytesByLabelName", "label", "bytes") })
	agree(t, "a label's values", func() []record { return recipeRows(t, pid, "prometheus-postings", "label=job") },
		func() []record {
			var want []record
			for _, s := range list(status(), "seriesCountByLabelValuePair") {
				if value, ok := strings.CutPrefix(s["name"].(string), "job="); ok {
					want = append(want, record{"label": "job", "value": value, "series": s["value"]})
				}
			}
			return want
		})
	for metric, count := range map[string]int{"orders": 300, "odd": 1} {
		agree(t, "the series of "+metric, func() []record {
			return recipeRows(t, pid, "prometheus-series", "metric="+metric,
				"limit=1000")
		}, func() []record {
			series := list(ask(t, api+"series?match[]="+metric), "data")
			if len(series) != count {
				t.Errorf("Prometheus has %d series of %s, the target gives %d", len(series), metric, count)
			}
			var want []record
			for _, labels := range series {
				delete(labels, "__name__")
				want = append(want, record{"metric": metric, "labels": prometheusSet(labels)})
			}
			return want
		})
	}
	stdout, _, _ := askRi(t, "run", "prometheus-series", "-p", fmt.Sprint(pid), "metric=orders", "limit=2")
	if !strings.Contains(stdout, "300 series of orders, the first 2 shown (limit=)") {
		t.Errorf("what limit= left out isn't said:\n%s", stdout)
	}
}

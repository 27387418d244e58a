package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ri/symbols/testprogram"
)

// telling is a catalogue of an agent's own, whose instruments give away what they see in every way that a script can.
// Each is run by a viewer.
var telling = map[string]string{
	"tells-rows": `for _, c in ri.pairs(customers) do ri.emit{name = c.Name, [c.Name] = 1, notes = c.Notes} end`,
	"tells-text": `print(customers[0].Name) ri.log(customers[1].Name)
		for i = 1, #customers[0].Name do print(string.byte(customers[0].Name, i)) end`,
	"tells-progress": `ri.progress(1, 2, customers[0].Name)
		ri.finding{what = customers[0].Name, where = customers[0].Name}`,
	"tells-error":   `error(customers[0].Name)`,
	"tells-caught":  `print(pcall(error, customers[0].Name)) print(pcall(function() return customers[0].Name + 1 end))`,
	"tells-missing": `return customers[0][customers[0].Name]`,
	"tells-number":  `return tonumber(customers[0].Name) + 1`,
	"tells-type":    `ri.find1(customers[0].Name)`,
	"tells-eval":    `ri.eval(customers[0].Name)`,
	"tells-twice":   `print(customers[0].Name) ri.again(0) print(customers[0].Name) error(customers[0].Name)`,
	"tells-dump":    `print(ri.dump(ri.var'main.customers', {depth = 5})) print(ri.text(ri.ref'main.byName', 5000))`,
}

// TestViewerOnTheWire has a viewer ask for all that a viewer may, and for what it may not, on a program full of
// secrets: none of what crosses has one, as it is or encoded, and no answer depends on what one is.
func TestViewerOnTheWire(t *testing.T) {
	needAttach(t)
	dir := t.TempDir()
	catalogue := ""
	for name, script := range telling {
		text := "return {title = 'x', run = function(p)\n" +
			"local customers = ri.var'main.customers'\n" + script + "\nend}\n"
		if err := os.WriteFile(filepath.Join(dir, name+".lua"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		catalogue += fmt.Sprintf("%s: {instrument: %s.lua}\n", name, name)
	}
	if err := os.WriteFile(filepath.Join(dir, "own.yaml"), []byte(catalogue), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.Command(testprogram.Build(t, "../record/testdata/secrets", testprogram.Variant{Name: "default"}),
		"buried-in-an-argument") // TestSecrets looks for what is planted in all processes
	run.Env = append(os.Environ(), "PLANTED=planted-in-the-environment")
	p, err := launch(run)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(at)
	startAgentIn(t, []string{"RI_RECIPES=" + filepath.Join(dir, "own.yaml")}, "--remote",
		"ptcp:"+port+":127.0.0.1", "--tcp-role", "viewer", "--stop-budget", "0")
	wire := startBetween(t, "tcp:"+at)
	wire.keeps = true
	pid := fmt.Sprint("--pid=", p.pid)

	asks := [][]string{{"version"}, {"doctor"}, {"ps", "--json=true"}, {"ps", ":buried"}, {"recipes", pid, "--json=true"},
		{"check", pid, "--max-stop=10s", "--json=true"}, {"tables", pid},
		{"show", ":tells-error"}}
	out, _ := runRi(t, 0, "recipes", "--json", "-p", fmt.Sprint(p.pid))
	var list []listed
	if err := json.Unmarshal([]byte(out), &struct{ Rows any }{&list}); err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if r.Fits && r.Mode == "read" && r.Category != "trace" && r.Name != "check" {
			ask := []string{"run", pid, "--max-stop=10s", "--json=true", ":" + r.Name}
			if r.Name == "cpu" {
				ask = append(ask, ":seconds=0.1")
			}
			asks = append(asks, ask)
		}
	}
	for name := range telling {
		asks = append(asks, []string{"run", pid, "--max-stop=10s", fmt.Sprintf("--json=%v", len(asks)%2 == 0), ":" + name})
	}
	// What a viewer may not, and what would be said of it.
	for _, words := range [][]string{
		{":map", ":expr=main.byName"}, {":list", ":expr=main.customers[0]"}, {":buffer", ":expr=main.customers[0].Notes"},
		{":vars", "--where=nothing = 1"}, {":vars", "--group=value"}, {":settings", "--where=value > 5"},
		{":settings", ":secrets=yes"}, {":goroutines", "--group=labels"}, {":goroutines", ":group=false"},
		{":allocations"}, {":tells-rows", "--sort=-name"}, {":tells-rows", "--sum=name", "--group=n"}, {":nothing"},
		{":tells-rows", "--view=live"}, {":tells-rows", "--write=true"}, {":tells-rows", "--recipes=own.yaml"},
	} {
		asks = append(asks, append([]string{"run", pid, "--max-stop=10s"}, words...))
	}
	asks = append(asks, [][]string{{"print", pid, ":main.customers"}, {"exec", pid, "--eval=true", ":print(1)"},
		{"vars", pid}, {"find", pid, ":main.customer"}, {"trace", pid, ":main.park"}, {"core", pid, "--output=/x"},
		{"record", pid, "--output=/x"}, {"set", pid, ":main.number", ":1"}, {"crash", pid},
		{"report", pid, "--output=/x"}}...)
	r := speak(t, wire.at)
	streams, answers := map[string]string{}, map[string]string{}
	r.heard = func(method string, params []json.RawMessage) {
		if method == "ri_output" && len(params) == 3 {
			streams[string(params[1])] += piece(params[2])
		}
	}
	ask := func(words ...string) string {
		t.Helper()
		clear(streams)
		r.last++ // the request's id is that of the message before
		result, failed := r.call("ri_run", r.last, rawRequest(words...))
		what := strings.Join(words, " ")
		answers[what] = string(result) + failed + streams["1"] + streams["2"]
		return answers[what]
	}
	for _, words := range asks {
		ask(words...)
	}
	db := tablesOf(t, r, p.pid)
	for _, op := range []string{
		`{"op":"select","table":"vars","where":[]}`, `{"op":"select","table":"goroutines","where":[]}`,
		`{"op":"select","table":"settings","where":[["value","==","planted-in-the-environment"]]}`,
		`{"op":"select","table":"settings","where":[["nothing","==","x"]]}`,
		`{"op":"wait","timeout":0,"table":"settings","where":[],"columns":["value"],"until":"==","rows":[{"value":"x"}]}`,
		`{"op":"update","table":"vars","where":[],"row":{"value":"x"}}`, `{"op":"select","table":"none","where":[]}`,
	} {
		result, failed := r.call("transact", db, json.RawMessage(op))
		answers["transact "+op] = string(result) + failed
	}
	_, failed := r.call("get_schema", db)
	answers["get_schema"] = failed

	_, said := wire.kept()
	answers["all that the agent said"] = said
	forms := hiddenForms("planted-")
	forms["an argument"] = "buried-"
	for what, text := range answers {
		for form, hidden := range forms {
			if i := strings.Index(strings.ToLower(text), strings.ToLower(hidden)); i >= 0 {
				if what == "ps :buried" || strings.Contains(text[max(0, i-20):i], "where") {
					continue // the asker's own words
				}
				t.Errorf("%s: %s: %q", what, form, text[max(0, i-80):min(len(text), i+80)])
			}
		}
	}
	if !strings.Contains(answers["run "+pid+" --max-stop=10s --json=true :goroutines"], "main.park") {
		t.Errorf("a viewer sees no goroutine: %s", answers["run "+pid+" --max-stop=10s --json=true :goroutines"])
	}

	// A right guess is answered as a wrong one.
	for _, guess := range [][3]string{
		{"ps", ":%s", "in-an-argument"},
		{"run " + pid + " :settings", "--where=value = %s", "planted-in-the-environment"},
		{"run " + pid + " :tells-rows", "--where=name = %s", "planted-name0-4000039602"},
		{"run " + pid + " :goroutines", "--where=labels =~ %s", "planted"},
	} {
		guessed := func(text string) string {
			answer := ask(append(strings.Fields(guess[0]), fmt.Sprintf(guess[1], text))...)
			return costs.ReplaceAllString(strings.ReplaceAll(tokens.ReplaceAllString(answer, "‹›"), text, "GUESS"), "#")
		}
		right, wrong := guessed(guess[2]), guessed(strings.Map(other, guess[2]))
		if right != wrong {
			t.Errorf("%s %s: the right guess\n%s\na wrong one\n%s", guess[0], guess[1], right, wrong)
		}
	}
}

var (
	tokens = regexp.MustCompile(`‹[^›]*›`)
	// costs are those of a look; of ps, what else is said of which processes are there.
	costs = regexp.MustCompile(`"stopped_ns":[0-9]+|stopped [^\n]*|there are [0-9]+\n(.*\n)*`)
)

// other is another letter of the same kind.
func other(r rune) rune {
	switch {
	case r >= 'a' && r <= 'y', r >= '0' && r <= '8':
		return r + 1
	}
	return r
}

// piece is a piece of bytes in a message: text, or base64.
func piece(j json.RawMessage) string {
	var text string
	if json.Unmarshal(j, &text) == nil {
		return text
	}
	var coded struct {
		B64 []byte `json:"$b64"`
	}
	_ = json.Unmarshal(j, &coded)
	return string(coded.B64)
}

// tablesOf is the database that a process is.
func tablesOf(t *testing.T, r *raw, pid int) string {
	t.Helper()
	result, failed := r.call("list_dbs")
	var names []string
	if err := json.Unmarshal(result, &names); err != nil {
		t.Fatal(err, failed)
	}
	for _, name := range names {
		if strings.HasSuffix(name, fmt.Sprintf("_%d", pid)) {
			return name
		}
	}
	t.Fatalf("no database of process %d: %s", pid, names)
	return ""
}

// hiddenForms are the ways in which a text may be hidden in another.
func hiddenForms(text string) map[string]string {
	reversed := []byte(text)
	for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	forms := map[string]string{"as it is": text, "in hex": hex.EncodeToString([]byte(text)), "reversed": string(reversed),
		"as a list": strings.Trim(strings.ReplaceAll(fmt.Sprint([]byte(text)), " ", ","), "[]")}
	for shift := range 3 {
		coded := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), text...))
		// Those of its characters that the text alone decides: fewer would be met by chance.
		forms[fmt.Sprintf("in base64, %d", shift)] = coded[(8*shift+5)/6 : 8*(shift+len(text))/6]
	}
	return forms
}

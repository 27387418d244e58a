package e2e

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ri/record/redact"
)

// A recording answers as the process did, but for texts: rows of the process, put through the same redaction with the
// same key, are the rows of the recording.

// tokenMarks stand around a token.
const tokenOpen, tokenClose = "‹", "›"

// redaction tells whether what a recording says is what the process says, but for tokens of a key.
type redaction struct{ tokens *redact.Tokens }

// like compares one value, as JSON has it.
func (r redaction) like(live, recorded any) bool {
	switch live := live.(type) {
	case string:
		text, ok := recorded.(string)
		return ok && r.text(live, text)
	case []any:
		list, ok := recorded.([]any)
		if !ok || len(list) != len(live) {
			return false
		}
		for i := range live {
			if !r.like(live[i], list[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		other, ok := recorded.(map[string]any)
		if !ok || len(other) != len(live) {
			return false
		}
		for name, value := range live { // whose names may be tokens, too
			found := false
			for there, other := range other {
				found = found || r.text(name, there) && r.like(value, other)
			}
			if !found {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(live, recorded)
}

// text compares texts of which some parts may be tokens, each as long as what it stands for, or say that nothing was
// kept.
func (r redaction) text(live, recorded string) bool {
	for recorded != "" {
		token, isToken := strings.CutPrefix(recorded, tokenOpen)
		if !isToken {
			if live == "" || live[0] != recorded[0] {
				return false
			}
			live, recorded = live[1:], recorded[1:]
			continue
		}
		token, rest, _ := strings.Cut(token, tokenClose)
		if after, masked := strings.CutPrefix(live, "(masked)"); masked && r.text(after, rest) {
			return true
		}
		if token == "not kept" {
			for n := 1; n <= len(live); n++ {
				if r.text(live[n:], rest) {
					return true
				}
			}
			return false
		}
		n := r.standsFor(token, live)
		if n == 0 {
			return false
		}
		live, recorded = live[n:], rest
	}
	return live == ""
}

// standsFor is how long the text is, at the beginning of another, that a token stands for; 0: for none. It is shown as
// it is, in hexadecimal, or as Go writes it.
func (r redaction) standsFor(token, live string) int {
	forms := []string{token}
	if raw, err := hex.DecodeString(token); err == nil {
		forms = append(forms, string(raw))
	}
	if raw, err := strconv.Unquote(`"` + token + `"`); err == nil && raw != token {
		forms = append(forms, raw)
	}
	if host, _, err := net.SplitHostPort(live); err == nil { // made of the bytes of an address
		if ip := net.ParseIP(host); ip != nil {
			for _, form := range forms[1:] {
				if string(r.tokens.Of(ip.To4())) == form || string(r.tokens.Of(ip.To16())) == form {
					return strings.LastIndexByte(live, ':')
				}
			}
		}
	}
	for _, form := range forms {
		if n := len(form); n <= len(live) && string(r.tokens.Of([]byte(live[:n]))) == form {
			return n
		}
	}
	return 0
}

// rows says what is wrong with a recording's rows, "" if nothing is. Their order may be another, since tokens are
// sorted by what they are.
func (r redaction) rows(live, recorded []map[string]any) string {
	left := slices.Clone(recorded)
	var unlike []map[string]any
	for _, row := range live {
		at := slices.IndexFunc(left, func(other map[string]any) bool { return r.like(row, other) })
		if at >= 0 {
			left = slices.Delete(left, at, at+1)
			continue
		}
		unlike = append(unlike, row)
	}
	if len(unlike)+len(left) == 0 {
		return ""
	}
	var wrong strings.Builder
	fmt.Fprintf(&wrong, "%d rows, and %d of the recording; %d and %d have none like them\n", len(live), len(recorded),
		len(unlike), len(left))
	for i := range min(len(unlike), len(left), 5) {
		for column, value := range unlike[i] {
			if other := left[i][column]; !r.like(value, other) {
				fmt.Fprintf(&wrong, "  %s is %.300s, and %.300s of the recording\n", column, encode(value), encode(other))
			}
		}
	}
	for i := len(unlike); i < min(len(left), 5); i++ {
		fmt.Fprintf(&wrong, "  of the recording only: %.600s\n", encode(left[i]))
	}
	for i := len(left); i < min(len(unlike), 5); i++ {
		fmt.Fprintf(&wrong, "  of the process only: %.600s\n", encode(unlike[i]))
	}
	return wrong.String()
}

// TestRecordingIsAsLive compares them of programs that were built by several releases.
func TestRecordingIsAsLive(t *testing.T) {
	needAttach(t)
	for _, how := range versions([]string{"local"}, "go1.24.6", "go1.27.3", "pie") {
		t.Run(how, func(t *testing.T) {
			if how != "local" && testing.Short() {
				t.Skip("not with -short")
			}
			answersAlike(t, startTarget(t, how, "-objects", "300", "-load").pid)
		})
	}
}

// TestRecordedSettings compares what a process was started with: texts that are empty, that have no name, no value, or
// more than one "=".
func TestRecordedSettings(t *testing.T) {
	needAttach(t)
	exe, err := buildTarget("local")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-listen=127.0.0.1:0", "-objects=3")
	cmd.Env = []string{"MAKEFLAGS=", "MFLAGS=", "EMPTY=", "TWO=a=b", "ENDS=a=", "PLAIN=value", "=C:=here", "NONAME", "X=",
		"LINES=one\ntwo=three", "PASSWORD=", "SESSION=hunter2", "TWICE=1", "TWICE=2"}
	p, err := launch(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	r, file := recordHeld(t, p.pid, "settings")
	live, _ := momentRows(t, "settings", "-p", fmt.Sprint(p.pid))
	for _, entry := range []string{"MAKEFLAGS=", "TWO=a=b", "=C:=here", "NONAME", "PASSWORD=", "LINES=one\ntwo=three"} {
		if !slices.ContainsFunc(live, func(row map[string]any) bool { return row["name"] == entry }) {
			t.Errorf("no row of the process is of the entry %q", entry)
		}
	}
	rows, _ := momentRows(t, "settings", "-r", file("rec"))
	for _, list := range []*[]map[string]any{&live, &rows} {
		*list = slices.DeleteFunc(*list, func(row map[string]any) bool { return row["kind"] == "debug" })
	}
	if wrong := r.rows(live, rows); wrong != "" {
		t.Errorf("settings of the recording: %s", wrong)
	}
}

// recordHeld records recipes of a process that stands still from then on, and gives what its tokens are made by.
func recordHeld(t *testing.T, pid int, recipes ...string) (r redaction, file func(name string) string) {
	t.Helper()
	dir := t.TempDir()
	file = func(name string) string { return filepath.Join(dir, name) }
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) })
	if err := awaitState(pid, "T"); err != nil {
		t.Fatal(err)
	}
	runRi(t, 0, append([]string{"record", "-p", fmt.Sprint(pid), "-o", file("rec"), "--key-file", file("key"),
		"--max-stop", "1m"}, recipes...)...)
	text, err := os.ReadFile(file("key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := redact.ReadKey(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return redaction{redact.NewTokens(key)}, file
}

// answersAlike holds a process still, and compares what every recipe that fits says of it, of a core, of a recording,
// and of a recording that was made of the core.
func answersAlike(t *testing.T, pid int) {
	t.Helper()
	if os.Getenv("RI_RECORDINGS") != "" {
		return // which is about those
	}
	process := fmt.Sprint(pid)
	if f := os.Getenv("RI_HOLD"); f != "" {
		os.WriteFile(f, []byte(process), 0o600)
		select {}
	}
	r, file := recordHeld(t, pid, "--all")
	runRi(t, 0, "core", "-p", process, "-o", file("core"), "--max-stop", "1m")
	runRi(t, 0, "record", "-c", file("core"), "-o", file("corerec"), "--all", "--key-file", file("key"))
	for _, path := range []string{"core", "rec", "corerec"} {
		if info, err := os.Stat(file(path)); err == nil {
			t.Logf("%s: %d bytes", path, info.Size())
		}
	}
	stdout, _ := runRi(t, 0, "recipes", "-p", process, "--json")
	var recipes []struct {
		Name, Mode, Category string
		Fits                 bool
	}
	if err := json.Unmarshal([]byte(stdout), &struct{ Rows any }{&recipes}); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, recipe := range recipes {
		traces := recipe.Category == "trace" || recipe.Name == "etcd-requests" || recipe.Name == "nats-messages"
		if recipe.Mode != "read" || !recipe.Fits || traces { // those wait for what comes
			continue
		}
		live, code := momentRows(t, recipe.Name, "-p", process, "--max-stop", "1m")
		if code != 0 && code != 3 {
			continue // it needs a parameter
		}
		compared++
		dead, _ := momentRows(t, recipe.Name, "-c", file("core"))
		for _, x := range []struct {
			what   string
			wanted []map[string]any
			where  []string
			apart  []string // columns
		}{
			{"the core", live, []string{"-c", file("core")}, onlyLive[recipe.Name]},
			{"the recording", live, []string{"-r", file("rec")}, ageing[recipe.Name]},
			{"the core's recording", dead, []string{"-r", file("corerec")}, ageing[recipe.Name]},
		} {
			if x.what == "the core" && (recipe.Name == "files" || recipe.Name == "cpu" || recipe.Name == "conns") {
				continue // they are the kernel's, and not in a core; TestCoreIsAsLive compares conns
			}
			rows, _ := momentRows(t, recipe.Name, x.where...)
			if wrong := r.rows(without(x.wanted, x.apart), without(rows, x.apart)); wrong != "" {
				_, stderr, code := askRi(t, append([]string{"run", recipe.Name}, x.where...)...)
				t.Errorf("%s of %s:\n%s  it exits with %d: %.600s", recipe.Name, x.what, wrong, code, stderr)
			}
		}
	}
	if compared < 15 {
		t.Errorf("only %d recipes were compared: %s", compared, stdout)
	}
}

var ageing = map[string][]string{
	"conns":           {"deadline", "other", "others", "rx", "tx"}, // the kernel goes on receiving, and sending
	"files":           {"other", "others"},                         // who else there is isn't recorded
	"timers":          {"due"},
	"goroutines":      {"wait"},
	"channels":        {"wait"},
	"http":            {"age"},
	"http-out":        {"wait"},
	"sql-conns":       {"age"},
	"scheduler":       {"time"},
	"contexts":        {"deadline"},
	"queued-requests": {"age"},
	"nats-slow":       {"idle"},
	"coredns-cache":   {"remaining"},
	"etcd-leases":     {"remaining"},
}

// without leaves columns out.
func without(rows []map[string]any, columns []string) (out []map[string]any) {
	for _, row := range rows {
		cut := map[string]any{}
		for name, value := range row {
			if !slices.Contains(columns, name) {
				cut[name] = value
			}
		}
		out = append(out, cut)
	}
	return out
}

// momentRows runs a recipe; of check what one moment of memory is enough for.
func momentRows(t *testing.T, recipe string, args ...string) ([]map[string]any, int) {
	t.Helper()
	if recipe == "check" {
		args = append([]string{"interval=0s", "only=" + momentChecks}, args...)
	}
	if recipe == "settings" {
		args = append([]string{"secrets=yes"}, args...)
	}
	rows, code := rowsOf(t, recipe, args...)
	for _, row := range rows {
		for column, value := range row {
			if text, ok := value.(string); ok { // the clock goes on for a process that stands still
				row[column] = ago.ReplaceAllString(text, "ago")
			}
		}
		// An entry of the environment is one text, with its value if it has one.
		if value, ok := row["value"].(string); recipe == "settings" && row["kind"] == "env" && ok {
			row["name"], row["value"] = fmt.Sprint(row["name"], "=", value), nil
		}
	}
	return rows, code
}

var ago = regexp.MustCompile(`[0-9][0-9a-zµ.]* ago`)

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// hostilePayload is what a terminal obeys, and what turns the direction of writing: OSC, CSI (the terminal would
// answer), C1 controls as UTF-8 and as a byte, DEL, bidi, a carriage return.
const (
	hostileName    = "XPAYLOADXPAYLOADXPAY"
	hostilePayload = "\x1b]0;p\a\x1b[5n\u009b5n\x9b\x7f\u202e\r"
)

// hostile are the ways in which each command prints what it has of a target, or of files: PID, CORE, DIR and RECIPES
// stand for those of the test. A command that isn't here fails the test, as it says nothing of what a terminal obeys.
// nil: it prints nothing of elsewhere, and the comment says why.
var hostile = map[string][][]string{
	"attach":     nil, // needs a terminal: see TestHostileOnATerminal
	"shell":      {{"shell", "-p", "PID"}, {"shell", "-c", "CORE"}},
	"check":      {{"check", "-p", "PID", "--interval", "10ms"}, {"check", "-c", "CORE"}},
	"completion": {{"completion", "bash"}, {"completion", "zsh"}, {"completion", "fish"}},
	"core":       {{"core", "-p", "PID", "-o", "DIR/core.again"}},
	"crash":      {{"crash", "-p", "PID"}, {"crash", "-c", "CORE"}, {"crash", "-c", "DIED"}},
	"diff":       {{"diff", "main.holder", "--interval", "10ms", "-p", "PID"}},
	"dlv":        {{"dlv", "-p", "PID"}, {"dlv", "-c", "CORE"}},
	"doctor": {{"doctor"}, {"doctor", "-p", "PID"}, {"doctor", "--verify", "-p", "PID"},
		{"doctor", "--verify", "-c", "CORE"}},
	"exec": {{"exec", "-e", "return main.holder", "-p", "PID"},
		{"exec", "-e", "print(main.holder.Text) ri.log(main.holder.Text) ri.emit{[main.holder.Text] = main.holder.Text} " +
			"ri.finding{what = main.holder.Text}", "-p", "PID"},
		{"exec", "-e", "error(main.holder.Text)", "-p", "PID"},
		{"exec", "-e", "ri.progress(1, 2, main.holder.Text)", "-p", "PID", "--view", "live"},
		{"exec", "DIR/" + hostilePayload + ".lua", "-p", "PID"}},
	"find": {{"find", "main.Holder", "-p", "PID"}, {"find", "main.Holder", "-c", "CORE"},
		{"find", "main.TypeKey", "--heap", "-p", "PID"}},
	"fleet": {{"fleet", hostilePayload}, {"fleet", "hosts", "--db", hostilePayload},
		{"fleet", "db", "DIR/" + hostilePayload, "--remote", "punix:"}, {"fleet", "targets", hostilePayload},
		{"fleet", "record", "-o", "DIR/" + hostilePayload, "--db", hostilePayload},
		{"fleet", "set", hostilePayload, hostilePayload, "--dry-run", "--db", hostilePayload},
		{"fleet", "undo", hostilePayload, "--dry-run", "--db", hostilePayload}, {"fleet", "trace", hostilePayload},
		{"fleet", "device", "create", "DIR/" + hostilePayload}},
	"funcs":   {{"funcs", "-p", "PID"}, {"funcs", "^main", "-c", "CORE"}},
	"lint":    {{"lint", "DIR/" + hostilePayload + ".lua"}, {"lint", "RECIPES"}},
	"log":     {{"log"}, {"log", "-mm"}, {"log", "compact"}, {"log", "truncate", "1"}, {"log", "truncate", "1", "--yes"}},
	"lua-api": {{"lua-api"}},
	"man":     {{"man", "DIR"}},
	"new":     {{"new", "DIR/new", "--expr", "main.holder.Map", "-p", "PID"}},
	"path":    {{"path", "main.holder.Map", "-p", "PID"}, {"path", "main.holder.Map", "-c", "CORE"}},
	"pki": {{"pki", hostilePayload}, {"pki", "init", "--pki", "DIR/pki", "--site", hostilePayload},
		{"pki", "issue", hostilePayload, "--pki", "DIR/pki", "--agent", "-o", "DIR/" + hostilePayload},
		{"pki", "list", "--pki", "DIR/pki"}, {"pki", "revoke", hostilePayload, "--pki", "DIR/pki"}},
	"print": {{"print", "main.holder", "--depth", "5", "-p", "PID"}, {"print", "main.holder", "-c", "CORE"},
		{"print", "main.holder", "--depth", "5", "-r", "DIR/recording"},
		{"print", "main.holder." + hostilePayload, "-p", "PID"}},
	"ps": {{"ps"}},
	"record": {{"record", "-p", "PID", "-o", "DIR/again", "goroutines"},
		{"record", "-p", "PID", "-o", "DIR/" + hostilePayload},
		{"record", "calls", "main.Holder", "-p", "PID", "-o", "DIR/calls", "--for", "200ms"},
		{"record", "streams", "-p", "PID", "-o", "DIR/streams", "--for", "200ms"}},
	"recording": {{"recording", "info", "DIR/recording"}, {"recording", "check", "DIR/recording", "--all"},
		{"recording", "check", "DIR/recording", "--word", hostilePayload}, {"recording", "verify", "DIR/" + hostilePayload}},
	"recipes": {{"recipes", "-p", "PID", "--recipes", "RECIPES"}, {"recipes", "-v", "--recipes", "RECIPES"}},
	"replay":  {{"replay", "DIR/" + hostilePayload}, {"replay", "generate", "DIR/recording", "-C", "DIR"}},
	"report":  {{"report", "-p", "PID", "-o", "DIR/report"}, {"report", "-c", "CORE", "-o", "DIR/report.html"}},
	"run": {{"run", "goroutines", "-p", "PID", "--folded", "-"},
		{"run", "goroutines", "-p", "PID", "--folded", "DIR/folded"}, {"run", hostilePayload, "-p", "PID"},
		{"run", "hostile", "--recipes", "RECIPES", "-p", "PID"}},
	"serve": {{"serve", "--remote", hostilePayload}, {"serve", "--remote", "pssl:" + hostilePayload}},
	"help":  {{"help", hostilePayload}, {"help", "run"}},
	"set": {{"set", "main.holder.Text", "", "-p", "PID", "--dry-run"},
		{"set", "main.holder.Text", "", "-p", "PID", "--write", "--yes"},
		{"set", "main.holder.Text", "x", "--was", "y", "-p", "PID", "--dry-run"}},
	"show": {{"show", "hostile", "--recipes", "RECIPES"}, {"show", "DIR/" + hostilePayload + ".lua"}},
	"tables": {{"tables", "-p", "PID"}, {"tables", "goroutines", "-p", "PID"}, {"tables", hostilePayload, "-p", "PID"},
		{"tables", "-p", "PID", "--database", hostilePayload}, {"tables", "-p", "PID", "--transact", hostilePayload}},
	"test": {{"test", "DIR/" + hostilePayload + ".test.yaml"}},
	"trace": {{"trace", "main.main", "--places", "-p", "PID"}, {"trace", "main." + hostilePayload, "-p", "PID"},
		{"trace", "main.main", "--when", `a == "` + hostilePayload + `"`, "-p", "PID"},
		{"trace", "runtime.findRunnable", "--for", "200ms", "--show", "main.holder", "-p", "PID"},
		{"trace", "runtime.findRunnable", "--for", "200ms", "--show", "main.holder", "--ndjson", "-p", "PID"}},
	"top":     {{"top", "main.holder", "-n", "2", "--interval", "10ms", "-p", "PID"}},
	"types":   {{"types", "-p", "PID", "--all"}, {"types", "^main", "-c", "CORE"}},
	"undo":    {{"undo", "1", "--write", "--dry-run"}, {"undo", "1", "--write", "--yes"}},
	"vars":    {{"vars", "-p", "PID"}, {"vars", "^main", "-c", "CORE"}},
	"version": {{"version"}},
	"watch":   nil, // waits for a death: see TestHostile
	"whatis": {{"whatis", "main.Holder", "--depth", "3", "-p", "PID"}, {"whatis", "main.holder.Map", "-p", "PID"},
		{"whatis", "main.Holder", "-c", "CORE"}},
	"": {{"--help"}, {hostilePayload}, {"--" + hostilePayload}, {"run", "goroutines", "-p", hostilePayload},
		{"run", "goroutines", hostilePayload + "=1", "-p", "PID"}},
	"complete": {{"__complete", "run", "-p", ""}, {"__complete", "run", ""}, {"__complete", "watch", "-p", ""},
		{"__complete", "run", "hostile", ""}},
}

// hostileInput is what commands are asked that read lines.
var hostileInput = map[string]string{
	"shell": "main.holder\nmain.holder.Text\nmain.holder.nothing\nri.log(main.holder.Text)\n:run " +
		"goroutines\n:recipes\n:history\n",
	"dlv": "goroutines -with user\nprint main.holder\nwhatis main.holder\ntypes main\nvars main\nfuncs main\nsources " +
		"main\nquit\n",
}

// noJSON are those that have no JSON, and tables, which answers as OVSDB does.
var noJSON = []string{"", "complete", "help", "serve", "shell", "dlv", "report", "completion", "tables"}

// hostileTarget is testdata/hostile, running under a name that is the payload.
type hostileTarget struct {
	*program
	dir string
}

func startHostile(t *testing.T) *hostileTarget {
	t.Helper()
	needAttach(t)
	dir := t.TempDir()
	exe := filepath.Join(dir, hostilePayload)
	build := exec.Command("go", "build", "-ldflags=-compressdwarf=false", "-o", exe, ".")
	build.Dir = "testdata/hostile"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building testdata/hostile: %v\n%s", err, out)
	}
	program, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	if len(hostileName) != len(hostilePayload) || bytes.Count(program, []byte(hostileName)) < 20 {
		t.Fatalf("the name is in the executable %d times", bytes.Count(program, []byte(hostileName)))
	}
	program = bytes.ReplaceAll(program, []byte(hostileName), []byte(hostilePayload))
	script := "return {title = " + luaText(hostilePayload) + ", description = " + luaText(hostilePayload) +
		",\n params = {{name = 'x', type = 'string', default = " + luaText(hostilePayload) +
		", help = " + luaText(hostilePayload) + "}}, columns = {{name = " + luaText(hostilePayload) + ", help = " +
		luaText(hostilePayload) + "}},\n run = function(p) print(p.x) nothing() end}"
	for name, text := range map[string][]byte{
		hostilePayload: program, hostilePayload + ".lua": []byte(script),
		hostilePayload + ".test.yaml": fmt.Appendf(nil, "%q: {core: nothing, run: ./x.lua}\n", "a\x1b]0;p\a"),
		"recipes.yaml": fmt.Appendf(nil,
			"recipes:\n  hostile: {instrument: %q, title: %q}\n  \"a\\e]0;p\\a\": {instrument: no}\n", hostilePayload+".lua",
			"\x1b]0;p\a\u202e"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(exe, "-x", hostilePayload)
	cmd.Env = append(os.Environ(), "FOLDER="+t.TempDir(), "PLAIN="+hostilePayload, hostilePayload+"="+hostilePayload,
		"GOTRACEBACK=crash")
	p, err := launch(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	return &hostileTarget{p, dir}
}

// ask runs ri with a journal and a history of its own.
func (h *hostileTarget) ask(args ...string) (out, said string) {
	cmd := riCommand(args...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(h.dir, "state"))
	cmd.Stdin = strings.NewReader(hostileInput[args[0]])
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // what it exits with is no matter here
	return stdout.String(), stderr.String()
}

func luaText(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, `\%03d`, s[i])
	}
	return `"` + b.String() + `"`
}

// arguments puts what the test has in the place of what the list says.
func (h *hostileTarget) arguments(args []string) []string {
	out := slices.Clone(args)
	for i, a := range out {
		switch {
		case a == "PID":
			out[i] = fmt.Sprint(h.pid)
		case a == "CORE":
			out[i] = filepath.Join(h.dir, "core")
		case a == "DIED":
			out[i] = filepath.Join(h.dir, "died")
		case a == "RECIPES":
			out[i] = filepath.Join(h.dir, "recipes.yaml")
		case strings.HasPrefix(a, "DIR"):
			out[i] = h.dir + a[3:]
		}
	}
	return out
}

// harmless fails where a text has what a terminal obeys.
func harmless(t *testing.T, what string, text []byte) {
	t.Helper()
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 || !strconv.IsPrint(r) && r != '\n' && r != '\t' {
			t.Errorf("%s: %q in %q", what, r, text[max(0, i-60):min(len(text), i+30)])
			return
		}
		i += size
	}
}

// TestHostile has every command print what a hostile program, its files and its catalogue are called and hold.
func TestHostile(t *testing.T) {
	h := startHostile(t)
	listed := []string{"", "complete"}
	words, _, _ := askRi(t, "__complete", "")
	for line := range strings.Lines(words) {
		if name, _, ok := strings.Cut(line, "\t"); ok {
			listed = append(listed, name)
			if _, ok := hostile[name]; !ok {
				t.Errorf("ri %s isn't in the list hostile: say there how it prints what it has of a target", name)
			}
		}
	}
	for name := range hostile {
		if !slices.Contains(listed, name) {
			t.Errorf("the list hostile has %q, and ri hasn't", name)
		}
	}
	runRi(t, 0, "core", "-p", fmt.Sprint(h.pid), "-o", filepath.Join(h.dir, "core"), "--max-stop", "1m")
	for name, text := range map[string]string{"keep.yaml": "- keep: {package: '*'}\n",
		"look.lua": "print(ri.dump(ri.var'main.holder', {depth = 5}))"} {
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	runRi(t, 0, "record", "-p", fmt.Sprint(h.pid), "-o", filepath.Join(h.dir, "recording"), "--max-stop", "1m", "--policy",
		filepath.Join(h.dir, "keep.yaml"), "--exec", filepath.Join(h.dir, "look.lua"))
	watch := h.watch(t)
	harmless(t, "ri watch", watch)
	ask := func(args ...string) string {
		args = h.arguments(args)
		out, said := h.ask(args...)
		what := "ri " + strings.ReplaceAll(strings.Join(args, " "), h.dir, "DIR")
		harmless(t, what+": stdout", []byte(out))
		harmless(t, what+": stderr", []byte(said))
		return out
	}
	for _, name := range listed {
		for _, args := range hostile[name] {
			ask(args...)
			if slices.Contains(noJSON, name) || slices.Contains(args, "--folded") {
				continue
			}
			if out := ask(append(args, "--json")...); out != "" {
				isDocument(t, fmt.Sprintf("ri %q --json", args), out)
			}
		}
	}
	for _, target := range []string{"PID", "CORE"} {
		for _, r := range h.recipes(t) {
			name := r.Name
			flag := map[string]string{"PID": "-p", "CORE": "-c"}[target]
			args := []string{"run", name, flag, target}
			if r.Category == "trace" { // it waits for what comes
				args = append(args, "time=1s")
			}
			switch name {
			case "cpu":
				args = append(args, "seconds=0.1")
			case "check":
				continue
			case "buffer", "list", "map", "tree", "object":
				args = append(args, "expr=main.holder")
			}
			ask(args...)
			if target == "PID" {
				ask(append(args, "--ndjson")...)
			}
		}
	}
	for _, place := range []string{"report", "report.html", "folded"} {
		err := filepath.WalkDir(filepath.Join(h.dir, place), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			harmless(t, strings.TrimPrefix(path, h.dir), text)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// listed is a recipe as ri recipes lists it.
type listed struct {
	Name, Mode, Category string
	Fits                 bool
}

// recipes are those that fit and only read.
func (h *hostileTarget) recipes(t *testing.T) (fit []listed) {
	t.Helper()
	out, _ := runRi(t, 0, "recipes", "-p", fmt.Sprint(h.pid), "--json")
	var list []listed
	if err := json.Unmarshal([]byte(out), &struct{ Rows any }{&list}); err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if r.Fits && r.Mode == "read" {
			fit = append(fit, r)
		}
	}
	if len(fit) < 20 {
		t.Fatalf("only %d recipes fit: %v", len(fit), fit)
	}
	return fit
}

// watch has a second process of the kind die, held in its last moment: what is printed then. Its core is DIED.
func (h *hostileTarget) watch(t *testing.T) []byte {
	t.Helper()
	cmd := exec.Command(h.cmd.Path, h.cmd.Args[1:]...)
	cmd.Env = append(slices.Clone(h.cmd.Env), "FOLDER="+t.TempDir())
	victim, err := launch(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer victim.end()
	watcher := riCommand("watch", "-p", fmt.Sprint(victim.pid), "--on-exit", "ri crash", "--on-exit", "ri run goroutines",
		"--on-exit", "ri core -o "+filepath.Join(h.dir, "died"))
	said := &text{}
	watcher.Stdout, watcher.Stderr = said, said
	if err := watcher.Start(); err != nil {
		t.Fatal(err)
	}
	if err := eventually("the watch begins", func() (bool,
		error) {
		return strings.Contains(said.String(), "Ctrl-C ends the watch"), nil
	}); err != nil {
		t.Fatal(err, said.String())
	}
	victim.cmd.Process.Signal(syscall.SIGUSR1)
	watcher.Wait()
	if !strings.Contains(said.String(), "died of") {
		t.Errorf("the watch says nothing of the panic: %s", said.String())
	}
	return []byte(said.String())
}

// ownSequences are what ri, and the editor of its prompt, write to a terminal themselves.
var ownSequences = regexp.MustCompile(`\x1b(\[(0|1|31|33|36)m|\[[0-9]*[KJHGCD]|\[\?1049[hl]|[78])|\r`)

// TestHostileOnATerminal is TestHostile for what is only printed on a terminal: colours, the screen of ri top, the
// question of ri set, Tab's candidates.
func TestHostileOnATerminal(t *testing.T) {
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("script (of util-linux) isn't there: make needs installs it")
	}
	h := startHostile(t)
	for _, test := range []struct {
		args   []string
		dialog []string // what is to be seen, what is typed then, what is to be seen, ...
	}{
		{[]string{"ps"}, []string{fmt.Sprint(h.pid)}},
		{[]string{"check", "-p", "PID", "--interval", "10ms"}, []string{"deadlock"}},
		{[]string{"run", "goroutines", "-p", "PID"}, []string{"labelled"}},
		{[]string{"run", "goroutines", "-p", "PID", "--json"}, []string{`\u001b]0;p`}},
		{[]string{"print", "main.holder", "-p", "PID"}, []string{"Holder"}},
		{[]string{"top", "main.holder", "-n", "3", "--interval", "10ms", "-p", "PID"}, []string{"holder"}},
		{[]string{"exec", "-e", "for i = 1, 20 do ri.progress(i, 20, main.holder.Text) ri.again(0.05) end", "-p", "PID",
			"--view", "live"}, []string{"no stop"}},
		{[]string{"set", "main.holder.Limit", "5", "-p", "PID", "--write"}, []string{"Change this in", "y\r", "committed"}},
		{[]string{"log", "truncate", "--all"}, []string{"Forget them?", "n\r", "not confirmed"}},
		{[]string{"__complete", "run", "-p", ""}, []string{fmt.Sprint(h.pid)}},
		{[]string{"shell", "-p", "PID"}, []string{"> ", "ri.find1'main.\t\t", "main.Holder", "\x15:quit\r"}},
		{[]string{"shell", "-p", "PID"}, []string{"> ", "ri.types'main.\t\t", "TypeKey", "\x15main.holder.Map[\t\t",
			`\027]0;p`, "\x15:quit\r"}},
		{[]string{"shell", "-p", "PID"}, []string{"> ", "main.holder.Text\r", `\x1b]0;p`, ":history\r", "   1  main",
			":run goroutines\r", "labelled", ":quit\r"}},
		{[]string{"attach", "PID"}, []string{"> ", "main.\t\t", "holder", "\x15:recipes\r", "goroutines", ":quit\r"}},
	} {
		args := h.arguments(test.args)
		line := "ri"
		for _, a := range args {
			line += " " + quoteShell(a)
		}
		what := "on a terminal, " + strings.ReplaceAll(line, h.dir, "DIR") + fmt.Sprintf(", %q", test.dialog)
		out := onTerminal(t, what, line, filepath.Join(h.dir, "state"), test.dialog)
		harmless(t, what, ownSequences.ReplaceAll(out, nil))
	}
}

// onTerminal runs a command on a terminal of its own, and gives all that came there.
func onTerminal(t *testing.T, what, line, state string, dialog []string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "typescript")
	cmd := exec.Command("script", "-qefc", "stty cols 200 rows 60; exec "+line, file)
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "XDG_STATE_HOME="+state,
		"TERM=xterm")
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	said := func() []byte {
		out, _ := os.ReadFile(file)
		return regexp.MustCompile(`(?s)^Script started[^\n]*\n|\nScript done.*$`).ReplaceAll(out, nil)
	}
	seen := 0
	for i, text := range dialog {
		if i%2 == 1 {
			if _, err := keys.Write([]byte(text)); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		err := eventually("it prints "+text, func() (bool, error) {
			out := said()
			at := bytes.Index(out[seen:], []byte(text))
			if at >= 0 {
				seen += at + len(text)
			}
			return at >= 0, nil
		})
		if err != nil {
			t.Errorf("%s: %v: %q", what, err, said())
			return said()
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Errorf("%s doesn't end: %q", what, said())
	}
	return said()
}

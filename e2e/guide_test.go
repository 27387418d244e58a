package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// guideCommand is a command of the guide, and the lines that it must print, in their order.
type guideCommand struct {
	text string
	want []string
}

// readGuide takes docs/guide.md apart. In a block a command begins with "$ ", what belongs to it with "> "; the rest is
// what it prints, where "..." stands for any lines, or for any part of one. A block that begins with ```lua NAME is a
// file.
func readGuide(t *testing.T) (commands []guideCommand) {
	t.Helper()
	page, err := os.ReadFile("../docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	block, file, body := false, "", ""
	for line := range strings.SplitSeq(string(page), "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			if file != "" {
				commands = append(commands, guideCommand{text: "cat >" + file + " <<'END-OF-FILE'\n" + body +
					"END-OF-FILE"})
			}
			block, file, body = !block, "", ""
			if name, ok := strings.CutPrefix(line, "```lua "); ok && block {
				file = name
			}
		case !block:
		case file != "":
			body += line + "\n"
		case strings.HasPrefix(line, "$ "):
			commands = append(commands, guideCommand{text: line[2:]})
		case strings.HasPrefix(line, "> "):
			commands[len(commands)-1].text += "\n" + line[2:]
		default:
			last := &commands[len(commands)-1]
			last.want = append(last.want, line)
		}
	}
	return commands
}

var (
	guideVaries = regexp.MustCompile(`0x[0-9a-f]+|[0-9]+([.,:][0-9]+)*`)
	guideUnits  = regexp.MustCompile(`# (us|ms|s|KiB|MiB|B|stops?)\b|#(ms|s|us|m#s)\b`)
	spaces      = regexp.MustCompile(`\s+`)
)

// guideLine is a line without what differs from one run to the next: numbers, units, and how wide columns are.
func guideLine(s string) string {
	s = guideUnits.ReplaceAllString(guideVaries.ReplaceAllString(s, "#"), "#")
	return strings.TrimSpace(spaces.ReplaceAllString(s, " "))
}

func guideLineMatches(want, got string) bool {
	want, got = guideLine(want), guideLine(got)
	for i, part := range strings.Split(want, "...") {
		at := strings.Index(got, strings.TrimSpace(part))
		if at < 0 || i == 0 && at > 0 {
			return false
		}
		got = got[at+len(strings.TrimSpace(part)):]
	}
	return got == "" || strings.HasSuffix(want, "...")
}

// The guide, to the letter, in one bash.
func TestGuide(t *testing.T) {
	if !mayAttach() {
		t.Skip("a process that isn't a child may not be stopped here")
	}
	commands := readGuide(t)
	if len(commands) < 20 {
		t.Fatalf("the guide has %d commands only", len(commands))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(listener.Addr().(*net.TCPAddr).Port)
	listener.Close()

	folder := t.TempDir()
	var script strings.Builder
	script.WriteString("trap 'kill $PID 2>/dev/null' EXIT\n")
	for i, c := range commands {
		text := strings.ReplaceAll(c.text, "4222", port)
		if strings.HasPrefix(text, "ri ") && !strings.HasPrefix(text, "ri types") &&
			!strings.HasPrefix(text, "ri new") {
			text = strings.Replace(text, "-p $PID", "--max-stop 5m -p $PID", 1) // the machine may be busy
		}
		fmt.Fprintf(&script, "%s\necho '<<<%d>>>'\n", text, i)
	}
	cmd := exec.Command("bash", "-s")
	cmd.Dir = folder
	cmd.Stdin = strings.NewReader(script.String())
	cmd.Env = append(os.Environ(), "GOBIN="+folder, "PATH="+folder+":"+bin+":"+os.Getenv("PATH"), "NO_COLOR=1",
		"GOFLAGS=-mod=mod",
		"XDG_CONFIG_HOME="+filepath.Join(folder, ".config"), "XDG_STATE_HOME="+filepath.Join(folder, ".state"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("bash: %v", err)
	}
	rest := string(out)
	for i, c := range commands {
		printed, after, ok := strings.Cut(rest, fmt.Sprintf("<<<%d>>>\n", i))
		if !ok {
			t.Fatalf("$ %s\ndidn't come to its end:\n%s", c.text, rest)
		}
		rest = after
		checkGuide(t, c, strings.ReplaceAll(printed, port, "4222"))
	}
}

// checkGuide finds each line that is shown, after the one before it. What ri remarks on standard error may come earlier
// or later.
func checkGuide(t *testing.T, c guideCommand, printed string) {
	t.Helper()
	lines := strings.Split(printed, "\n")
	from := 0
	for _, want := range c.want {
		if want == "..." || strings.TrimSpace(want) == "" {
			continue
		}
		remark := strings.HasPrefix(want, "stopped ") || strings.HasPrefix(want, "-- ")
		found := -1
		for i, got := range lines {
			if (remark || i >= from) && guideLineMatches(want, got) {
				found = i
				break
			}
		}
		if found < 0 {
			t.Errorf("$ %s\nshows no line like\n%s\nbut:\n%s", c.text, want, printed)
			return
		}
		if !remark {
			from = found + 1
		}
	}
}

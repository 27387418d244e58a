package request

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

func flags(words ...string) (all []Flag) {
	for _, w := range words {
		name, value, found := strings.Cut(w, "=")
		if !found {
			value = "true"
		}
		all = append(all, Flag{name, value})
	}
	return all
}

// TestAllowed has each role ask for what it may, and for what it may not.
func TestAllowed(t *testing.T) {
	for _, test := range []struct {
		command string
		flags   []Flag
		args    []string
		least   Role // None: nobody may
	}{
		{command: "ps", least: Viewer},
		{command: "check", flags: flags("pid=1"), least: Viewer},
		{command: "run", flags: flags("pid=1"), args: []string{"goroutines"}, least: Viewer},
		{command: "run", flags: flags("pid=1"), args: []string{"./my.lua"}, least: Author},
		{command: "run", flags: flags("pid=1"), args: []string{"my.lua"}, least: Author},
		{command: "run", flags: flags("pid=1", "recipes=x.yaml"), args: []string{"mine"}, least: Author},
		{command: "run", flags: flags("pid=1", "view=live"), args: []string{"goroutines"}, least: Author},
		{command: "run", flags: flags("pid=1", "write"), args: []string{"metadata-update"}, least: Operator},
		{command: "run", flags: flags("pid=1", "write=false"), args: []string{"goroutines"}, least: Viewer},
		{command: "exec", flags: flags("pid=1", "eval=return 1"), least: Author},
		{command: "exec", flags: flags("pid=1", "eval=return 1", "write"), least: Operator},
		{command: "print", flags: flags("pid=1"), args: []string{"main.x"}, least: Author},
		{command: "trace", flags: flags("pid=1"), args: []string{"main.f"}, least: Author},
		{command: "record", flags: flags("pid=1", "output=x"), least: Author},
		{command: "core", flags: flags("pid=1", "output=x"), least: Author},
		{command: "shell", flags: flags("pid=1"), least: Author},
		{command: "shell", flags: flags("pid=1", "write"), least: Operator},
		{command: "set", flags: flags("pid=1", "dry-run"), args: []string{"a", "b"}, least: Operator},
		{command: "undo", flags: flags("write"), args: []string{"1"}, least: Operator},
		{command: "log", least: Author},
		{command: "log truncate", args: []string{"1"}, least: Operator},
		{command: "run", flags: flags("pid=1", "journal=/etc/x"), args: []string{"goroutines"}},
		{command: "core", flags: flags("pid=1", "output=x", "spool=/tmp")},
		{command: "check", flags: flags("core=/etc/shadow")},
		{command: "check", flags: flags("recording=x")},
		{command: "dlv", flags: flags("pid=1", "headless", "listen=unix:/x"), least: Author},
		{command: "watch", flags: flags("pid=1", "on-exit=ri core -o /etc/x")},
		{command: "check", flags: flags("pid=1", "nonsense")},
		{command: "check", flags: flags("pid=1"), args: []string{"--write"}},
		{command: "lint", args: []string{"x.lua"}},
		{command: "nonsense"},
		{command: "serve"},
		{command: "pki issue"},
		{command: "__complete"},
		{command: ""},
	} {
		r := Request{Command: strings.Fields(test.command), Flags: test.flags, Args: test.args, Folder: "/home/a"}
		for role := None; role <= Operator; role++ {
			err := r.Allowed(role)
			if may := test.least != None && role >= test.least; may != (err == nil) {
				t.Errorf("%s, as %s: %v", r.Text(), role, err)
			}
		}
	}
	started := Request{Command: []string{"record", "calls"}, After: []string{"sh"}, Dashed: true, Folder: "/"}
	if err := started.Allowed(Operator); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("a program is started: %v", err)
	}
	for _, folder := range []string{"", "relative", "/a/../../etc", "/a/"} {
		r := Request{Command: []string{"ps"}, Folder: folder}
		if err := r.Allowed(Operator); !errors.Is(err, ErrMalformed) {
			t.Errorf("the folder %q: %v", folder, err)
		}
	}
}

// TestLine has what the request names lie below the worker's folder, and nowhere else.
func TestLine(t *testing.T) {
	for _, test := range []struct {
		asked Request
		want  string
	}{
		{Request{Command: []string{"record"}, Flags: flags("pid=1", "output=x.rec"), Args: []string{"goroutines"}},
			"record --pid=1 --output=x.rec goroutines"},
		{Request{Command: []string{"record"}, Flags: flags("output=/tmp/x.rec")}, "record --output=/w/tmp/x.rec"},
		{Request{Command: []string{"record"}, Flags: flags("output=../../../../etc/x")}, "record --output=/w/etc/x"},
		{Request{Command: []string{"exec"}, Args: []string{"/tmp/a.lua"}}, "exec /w/tmp/a.lua"},
		{Request{Command: []string{"exec"}, Args: []string{"../a.lua"}}, "exec /w/home/a.lua"},
		{Request{Command: []string{"run"}, Args: []string{"goroutines", "file=/tmp/x"}}, "run goroutines file=/tmp/x"},
		{Request{Command: []string{"run"}, Flags: flags("folded=-"), Args: []string{"goroutines"}},
			"run --folded=- goroutines"},
		{Request{Command: []string{"set"}, Args: []string{"x"}, After: []string{"-5"}, Dashed: true}, "set x -- -5"},
	} {
		test.asked.Folder = "/home/a"
		if got := strings.Join(test.asked.Line("/w"), " "); got != test.want {
			t.Errorf("%s: %s, want %s", test.asked.Text(), got, test.want)
		}
	}
}

// TestBytes has any bytes cross as they are.
func TestBytes(t *testing.T) {
	for _, b := range []string{"", "text ‹é›\n", "\xff\x00<>", "\u2028"} {
		text, err := json.Marshal(Bytes(b))
		var back Bytes
		if err != nil || json.Unmarshal(text, &back) != nil || !slices.Equal([]byte(back), []byte(b)) {
			t.Errorf("%q: %s, %q, %v", b, text, back, err)
		}
	}
}

// FuzzRequest has whatever comes be read, or refused, and what it names stay below the worker's folder.
func FuzzRequest(f *testing.F) {
	f.Add(`{"command":["core"],"flags":[{"name":"output","value":"../../x"}],"folder":"/a"}`)
	f.Add(`{"command":["exec"],"args":["/../x.lua"],"folder":"/",` +
		`"files":[{"path":"/x","kind":"file","data":{"$b64":"/w=="}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var j any
		if json.Unmarshal([]byte(text), &j) != nil {
			return
		}
		var r Request
		if Into(j, &r) != nil || r.Allowed(Operator) != nil {
			return
		}
		read, made := r.Paths()
		for _, path := range append(read, made...) {
			if at := r.Absolute(path); !strings.HasPrefix(at, "/") || strings.Contains(at+"/", "/../") {
				t.Errorf("%q is at %q", path, at)
			}
		}
		for _, word := range r.Line("/w")[len(r.Command):] {
			if strings.HasPrefix(word, "--output=/") && !strings.HasPrefix(word, "--output=/w") {
				t.Errorf("%s: %q", text, word)
			}
		}
	})
}

package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// planted are secrets in the environment of a program, by their names: of a name, of a form, and both.
var planted = map[string]string{
	"DBPASS": "plantedDBPASS", "GITHUB_PAT": "plantedPAT", "SLACK_WEBHOOK": "plantedHook",
	"SIGNING_SEED": "plantedSeed", "userPassword": "plantedUser", "MYSQLPWD": "plantedPWD",
	"ONE":   "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
	"TWO":   "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.SflKxwRJSMeKKF2QT4",
	"THREE": "AKIAIOSFODNN7PLANTED", "FOUR": "redis://:plantedRedis@localhost/0",
	"FIVE": "host=localhost password=plantedDSN dbname=x", "SIX": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ",
	"SEVEN": "-----BEGIN PRIVATE KEY-----\nplantedPEM\n-----END PRIVATE KEY-----",
}

// plantedArgs are more in its command line.
var plantedArgs = []string{"-token=plantedFlag", "--db-pass", "plantedNext", "plain"}

// TestSecrets: what is called a secret, or looks like one, is in no line of the settings, the list of processes and the
// report.
func TestSecrets(t *testing.T) {
	needAttach(t)
	run := exec.Command(buildRuntimeTarget(t, "local"), plantedArgs...)
	run.Env = []string{"HOME=/", "PATH=" + os.Getenv("PATH"), "RI_TEST_PLAIN=seen"}
	var values []string
	for name, value := range planted {
		run.Env = append(run.Env, name+"="+value)
		values = append(values, value)
	}
	p, err := launch(run)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	look := func(where, text string) {
		t.Helper()
		for _, v := range append(values, "planted", "PLANTED") {
			if strings.Contains(text, v) {
				t.Errorf("%s shows %s", where, v)
			}
		}
	}
	pid := fmt.Sprint(p.pid)
	for _, args := range [][]string{{"run", "settings", "-p", pid}, {"run", "settings", "-p", pid, "--json"},
		{"run", "buildinfo", "-p", pid}} {
		out, said := runRi(t, 0, args...)
		look("ri "+strings.Join(args, " "), out+said)
		if args[1] == "settings" && !strings.Contains(out, "seen") {
			t.Errorf("ri %s hides what is no secret:\n%s", strings.Join(args, " "), out)
		}
	}
	out, _ := runRi(t, 0, "ps", "--ndjson")
	told := false
	for line := range strings.Lines(out) { // other tests' programs have their own
		if strings.Contains(strings.ReplaceAll(line, " ", ""), `"pid":`+pid+",") {
			look("ri ps", line)
			told = true
		}
	}
	if !told {
		t.Errorf("ri ps lacks %s: %s", pid, out)
	}
	if shown, _ := runRi(t, 0, "run", "settings", "secrets=yes", "-p", pid); !strings.Contains(shown,
		"plantedDBPASS") || !strings.Contains(shown, "plantedNext") {
		t.Errorf("secrets=yes hides them:\n%s", shown)
	}
	folder := filepath.Join(t.TempDir(), "visit")
	if _, said, code := askRi(t, "report", "-p", pid, "-o", folder, "--max-stop", "10s"); code != 0 && code != 3 &&
		code != 5 {
		t.Fatalf("ri report exits with %d: %s", code, said)
	}
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		look(path, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

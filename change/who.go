package change

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// userName is who runs ri, and for whom sudo runs it.
func userName() string {
	name := "uid " + strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if sudo := os.Getenv("SUDO_USER"); sudo != "" && sudo != name {
		return sudo + " (as " + name + ")"
	}
	return name
}

// commandLine writes a command line so that a shell reads it back.
func commandLine(args []string) string {
	var out []string
	for i, a := range args {
		if i == 0 {
			a = filepath.Base(a)
		}
		if a == "" || strings.ContainsAny(a, " \t\n\"'`$\\|&;<>()*?[]#~{}!") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		out = append(out, a)
	}
	return strings.Join(out, " ")
}

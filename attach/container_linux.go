package attach

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// inContainer guesses from what container runtimes leave behind.
func inContainer() bool {
	for _, f := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(f); err == nil {
			return true
		}
	}
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" || os.Getenv("container") != "" {
		return true
	}
	data, _ := os.ReadFile("/proc/1/cgroup")
	for _, word := range []string{"docker", "kubepods", "containerd", "libpod", "lxc"} {
		if strings.Contains(string(data), word) {
			return true
		}
	}
	return false
}

// userName is the name of a user with its number, or the number alone.
func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	u, err := user.LookupId(id)
	if err != nil {
		return id
	}
	return fmt.Sprintf("%s (%s)", u.Username, id)
}

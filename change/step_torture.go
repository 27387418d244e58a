//go:build torture

package change

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// step ends ri as kill -9 does, at the step that RI_KILL_AT names. Or it holds ri there until the file that
// RI_WAIT_AT=STEP:FILE names is gone, so that a test can do something to the target at this very moment. For the
// harness in e2e only.
func step(name string) {
	if os.Getenv("RI_KILL_AT") == name {
		unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	}
	if at, file, ok := strings.Cut(os.Getenv("RI_WAIT_AT"), ":"); ok && at == name {
		os.WriteFile(file+".reached", nil, 0o600)
		for {
			if _, err := os.Stat(file); err != nil {
				return
			}
			unix.Nanosleep(&unix.Timespec{Nsec: 100_000}, nil)
		}
	}
}

// oneCall: pieces are written one by one, so that there is a step between two.
const oneCall = false

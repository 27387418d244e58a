//go:build amd64

package attach

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if name := os.Getenv("ATTACH_TEST_CHILD"); name != "" {
		child(name, os.Getenv("ATTACH_TEST_ARGS"))
		return
	}
	os.Exit(runTests(m))
}

func open(t testing.TB, pid int) *Process {
	t.Helper()
	target, err := OpenProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	return target.(*Process)
}

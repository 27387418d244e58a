package client

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"ri/ovsdb"
	"ri/ovsdb/engine"
	"ri/ovsdb/wire"
)

// TestMain is the server of our own, too, where the test asks for it as a process.
func TestMain(m *testing.M) {
	if folder := os.Getenv("RI_TEST_ENGINE"); folder != "" {
		fmt.Fprintln(os.Stderr, serveFolder(folder))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func diesWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

func serveFolder(folder string) error {
	parsed, err := ovsdb.ParseSchema([]byte(schema))
	if err != nil {
		return err
	}
	f, err := ovsdb.Open(filepath.Join(folder, "db"), parsed, 0)
	if err != nil {
		return err
	}
	db, err := engine.Open(f)
	if err != nil {
		return err
	}
	s, err := wire.NewServer()
	if err != nil {
		return err
	}
	if err := s.Add(db); err != nil {
		return err
	}
	socket := filepath.Join(folder, "sock")
	os.Remove(socket)
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	return s.Serve(context.Background(), l)
}

// TestEngineIsKilled: our own server is killed with SIGKILL while a client writes, and started again. No row of which
// the client was told that it is there is lost, and none is there twice.
func TestEngineIsKilled(t *testing.T) {
	folder := shortDir(t)
	var server *exec.Cmd
	run := func() {
		server = exec.Command(os.Args[0])
		server.Env = append(os.Environ(), "RI_TEST_ENGINE="+folder)
		server.Stderr = os.Stderr
		diesWithUs(server)
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
	}
	kill := func() {
		server.Process.Kill()
		server.Wait()
	}
	run()
	t.Cleanup(func() { kill() })
	c := start(t, Config{Remotes: []Remote{unixRemote(filepath.Join(folder, "sock"))}, Pause: 10e6})
	written := make(chan string)
	stop := make(chan struct{})
	go func() {
		defer close(written)
		for n := 0; ; n++ {
			id := fmt.Sprint("row-", n)
			if _, _, err := c.Once(t.Context(), "Job", "id", id, insert(id)); err != nil {
				t.Errorf("%s: %v", id, err)
				return
			}
			select {
			case written <- id:
			case <-stop:
				written <- id
				return
			}
		}
	}()
	var acknowledged []string
	for range 5 {
		for range 7 {
			id, ok := <-written
			if !ok {
				t.FailNow()
			}
			acknowledged = append(acknowledged, id)
		}
		kill() // in the middle of the next
		run()
	}
	close(stop)
	for id := range written {
		acknowledged = append(acknowledged, id)
	}
	rows := transact(t, c, Op{"op": "select", "table": "Job", "where": []any{}, "columns": []string{"_uuid", "id"}})
	count := map[any]int{}
	for _, row := range rows[0].Rows {
		count[row["id"]]++
	}
	for _, id := range acknowledged {
		if count[id] != 1 {
			t.Errorf("%s was acknowledged, and is there %d times", id, count[id])
		}
	}
	if len(count) != len(acknowledged) {
		t.Errorf("%d rows were acknowledged, and there are %d", len(acknowledged), len(count))
	}
}

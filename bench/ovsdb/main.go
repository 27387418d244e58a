//go:build linux

// Bench of the OVSDB engine beside a real ovsdb-server: the same rows, the same client, the same file system. `make
// bench` runs it; docs/benchmarks.md has its figures. Each server is a process of its own; the client reads answers
// without looking into them, so that its own time counts little.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"
)

// schema has rows as a database of processes has them: names, numbers, a map.
const schema = `{"name": "bench", "version": "1.0.0", "tables": {"Item": {"isRoot": true, "indexes": [["name"]],
	"columns": {"name": {"type": "string"}, "size": {"type": "integer"}, "share": {"type": "real"},
	"live": {"type": "boolean"}, "tags": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}}}}}`

func main() {
	serve := flag.String("serve", "", "serve the database `FILE` on -socket, for the bench's own use")
	socket := flag.String("socket", "", "where to listen")
	dir := flag.String("dir", "bin/bench", "on which file system; a folder is made in it, and removed")
	runs := flag.Int("runs", 5, "how often each is measured; medians are printed")
	rows := flag.Int("rows", 100_000, "rows of the dump")
	watchers := flag.Int("monitors", 1000, "monitors of a table of 10,000 rows")
	flag.Parse()
	if *serve != "" {
		fatal(serveEngine(*serve, *socket))
		return
	}
	fatal(bench(context.Background(), *dir, *runs, *rows, *watchers))
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/ovsdb:", err)
		os.Exit(1)
	}
}

// measure is what is measured of a server that has been filled.
type measure struct {
	name string
	unit string
	take func(at *server) (float64, error)
	low  bool // less is better
	must string
}

func bench(ctx context.Context, dir string, runs, rows, watchers int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	home, err := os.MkdirTemp(dir, "ovsdb")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	fmt.Printf("| measure | ovsdb-server | ours | ours / theirs | must |\n| --- | --- | --- | --- | --- |\n")
	ask := fmt.Sprintf("rows of a dump of %d", rows)
	for _, m := range []struct {
		measure
		fill int
	}{
		{measure{ask, "rows/s", func(s *server) (float64, error) { return s.dump(rows) }, false, ">= 0.5"}, rows},
		{measure{"durable transactions of a row", "/s", func(s *server) (float64, error) { return s.commits(200, 1) },
			false, ">= 1"}, 0},
		{measure{"rows in durable transactions of 100", "/s", func(s *server) (float64, error) {
			return s.commits(40, 100)
		}, false, ">= 1"}, 0},
		{measure{fmt.Sprintf("memory of %d monitors of 10,000 rows", watchers), "MB",
			func(s *server) (float64, error) { return s.watched(watchers) }, true, "<= 200 MB"}, 10_000},
	} {
		n := runs
		if m.low {
			n = 1
		}
		var got [2][]float64
		for range n { // in turn, so that what disturbs one disturbs the other
			for which, start := range []func(context.Context, string) (*server, error){startReal, startOurs} {
				v, err := one(ctx, home, start, m.fill, m.take)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", m.name, []string{"ovsdb-server", "ours"}[which], err)
				}
				got[which] = append(got[which], v)
			}
		}
		theirs, ours := median(got[0]), median(got[1])
		fmt.Printf("| %s | %.0f %s | %.0f %s | %.2f | %s |\n", m.name, theirs, m.unit, ours, m.unit, ours/theirs, m.must)
	}
	return nil
}

// one starts a server with so many rows, and measures it.
func one(ctx context.Context, home string, start func(context.Context, string) (*server, error), fill int,
	take func(*server) (float64, error)) (float64, error) {
	folder, err := os.MkdirTemp(home, "")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	s, err := start(ctx, folder)
	if err != nil {
		return 0, err
	}
	defer s.kill()
	for done := 0; done < fill; done += 1000 {
		if err := s.insert(done, min(1000, fill-done), false); err != nil {
			return 0, err
		}
	}
	return take(s)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

func rate(n int, began time.Time) float64 { return float64(n) / time.Since(began).Seconds() }

//go:build linux

package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// heapSays is the last line of the recipe heap.
var heapSays = regexp.MustCompile(`(?m)^(\d+) objects, .* live, ([0-9.]+) % of the bytes with a type`)

// manyObjects walks a heap of 15 million objects of 1.6 GB. cloudwego/goref needs 33 s for the like, stopped
// throughout.
func manyObjects(ctx context.Context, b *bench) ([]row, error) {
	p, err := b.startTarget("-series", "830000")
	if err != nil {
		return nil, err
	}
	defer p.kill()
	took := row{name: "heap of 15 M objects, 1.6 GB, by type: time", must: 12 * second}
	stop := row{name: "heap of 15 M objects, 1.6 GB, by type: stop", must: 400 * millisecond}
	memory := row{name: "heap of 15 M objects, 1.6 GB, by type: memory beyond the copy", unit: bytesOf,
		must: 500 * megabyte}
	err = b.side(ctx, nil, func() error {
		o, err := b.lookStop(ctx, p, &stop, "run", "heap", "-p", strconv.Itoa(p.pid), "--max-stop", "20s")
		if err != nil {
			return err
		}
		m := heapSays.FindStringSubmatch(o.stdout)
		if m == nil {
			return fmt.Errorf("ri found %q", lastLine(o.stdout))
		}
		took.ri.addTime(o.took)
		copied, err := bytesRead(o.read)
		if err != nil {
			return err
		}
		memory.ri.add(float64(o.memory) - copied)
		took.note = fmt.Sprintf("%s objects, %s %% of the bytes with a type, %s copied.", m[1], m[2], o.read)
		return nil
	})
	if err != nil {
		took.ri, took.note = nil, "not yet: "+lastLine(err.Error())
	}
	return []row{took, stop, memory}, b.idle(p, &stop)
}

// bytesRead is what ri says that it read, in bytes: "1.3 GiB".
func bytesRead(text string) (float64, error) {
	number, unit, _ := strings.Cut(text, " ")
	n, err := strconv.ParseFloat(number, 64)
	scale, known := map[string]float64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]
	if err != nil || !known {
		return 0, fmt.Errorf("ri said that it read %q", text)
	}
	return n * scale, nil
}

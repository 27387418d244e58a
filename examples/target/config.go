package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"
)

// Config is what the flags say.
type Config struct {
	role    string // all, gateway, store or client
	listen  string // HTTP
	admin   string // HTTP for /admin/, if not the same
	session string // sessions
	block   string // the stores' protocol
	stores  []string
	connect string // where the clients of role client connect
	data    string

	seed         uint64
	objects      int
	services     int
	firstService int
	devices      int // of each service
	deviceBlocks int64
	blockSize    int
	units        int // data units in a parity group
	fanout       int
	workers      int
	queueLimit   int
	cacheSize    int
	flush        time.Duration

	load        bool
	loadClients int
	loadRate    int
	loadWindow  int
}

func parseFlags(name string, args []string) (*Config, error) {
	c := &Config{}
	var stores string
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.StringVar(&c.role, "role", "all", "`role`: all, gateway, store or client")
	f.StringVar(&c.listen, "listen", "127.0.0.1:0", "`address` of HTTP")
	f.StringVar(&c.admin, "admin", "", "`address` of /admin/, if it is to have its own")
	f.StringVar(&c.session, "session-listen", "127.0.0.1:0", "`address` for client sessions")
	f.StringVar(&c.block, "store-listen", "127.0.0.1:0", "`address` of a store for gateways")
	f.StringVar(&stores, "store", "", "`addresses` of a gateway's stores, separated by commas")
	f.StringVar(&c.connect, "connect", "", "`address` of the sessions that role client opens")
	f.StringVar(&c.data, "data", "", "`directory` to keep data in; without it nothing outlives the process")
	f.Uint64Var(&c.seed, "seed", 1, "what the first objects are made from")
	f.IntVar(&c.objects, "objects", 1000, "`number` of objects to start with")
	f.IntVar(&c.services, "services", 3, "`number` of services")
	f.IntVar(&c.firstService, "first-service", 0, "`id` of a store's first service")
	f.IntVar(&c.devices, "devices", 2, "`number` of devices of each service")
	f.Int64Var(&c.deviceBlocks, "device-blocks", 0, "`blocks` of each device; 0 is enough for the objects")
	f.IntVar(&c.blockSize, "block-size", 64, "`bytes` in a block")
	f.IntVar(&c.units, "units", 2, "data units in a parity group")
	f.IntVar(&c.fanout, "fanout", 16, "most keys in a node of the b-tree")
	f.IntVar(&c.workers, "workers", 4, "`number` of workers")
	f.IntVar(&c.queueLimit, "queue-limit", 100000, "most requests in the queues")
	f.IntVar(&c.cacheSize, "cache", 256, "names to keep in the cache")
	f.DurationVar(&c.flush, "flush", time.Second, "`time` between two sweeps for dirty records")
	f.BoolVar(&c.load, "load", false, "run the built-in load")
	f.IntVar(&c.loadClients, "load-clients", 4, "`number` of the load's clients")
	f.IntVar(&c.loadRate, "load-rate", 200, "requests a second of the load")
	f.IntVar(&c.loadWindow, "load-window", 16, "requests that a client has outstanding at most")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if stores != "" {
		c.stores = strings.Split(stores, ",")
	}
	return c, c.check()
}

func (c *Config) check() error {
	for _, limit := range []struct {
		flag           string
		value, low, up int64
	}{
		{"objects", int64(c.objects), 0, 10000000},
		{"services", int64(c.services), 1, 1000},
		{"first-service", int64(c.firstService), 0, 1000},
		{"devices", int64(c.devices), 1, 1000},
		{"device-blocks", c.deviceBlocks, 0, 1 << 32},
		{"block-size", int64(c.blockSize), 8, 1 << 20},
		{"units", int64(c.units), 1, 32},
		{"fanout", int64(c.fanout), 3, 1000},
		{"workers", int64(c.workers), 1, 1000},
		{"queue-limit", int64(c.queueLimit), 1, 10000000},
		{"load-clients", int64(c.loadClients), 1, 1000},
		{"load-rate", int64(c.loadRate), 1, 1000000},
		{"load-window", int64(c.loadWindow), 1, 10000},
	} {
		if limit.value < limit.low || limit.value > limit.up {
			return fmt.Errorf("-%s %d: want %d to %d", limit.flag, limit.value, limit.low, limit.up)
		}
	}
	if c.flush <= 0 {
		return fmt.Errorf("-flush %v: want more than 0", c.flush)
	}
	switch c.role {
	case "all":
		if c.services*c.devices < c.units+1 {
			return fmt.Errorf("%d units and their parity need %d devices, there are %d", c.units, c.units+1,
				c.services*c.devices)
		}
	case "gateway":
		if len(c.stores) == 0 {
			return errors.New("-role gateway needs -store ADDRESS[,ADDRESS...]")
		}
	case "client":
		if c.connect == "" {
			return errors.New("-role client needs -connect ADDRESS")
		}
	case "store":
	default:
		return fmt.Errorf("-role %q: want all, gateway, store or client", c.role)
	}
	return nil
}

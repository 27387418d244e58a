// Package outside is what instruments may reach outside of the process: HTTP to hosts, files below folders, databases
// of OVSDB, each only as far as a person or an agent's configuration has allowed it by name. All of it is bounded in
// time and size, and what changes something is guarded by what was there before.
//
// What may not come in: Lua, targets, who allowed it.
package outside

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Errors that callers test for.
var (
	// ErrNotAllowed: nobody has allowed it.
	ErrNotAllowed = errors.New("not allowed")
	// ErrChanged: what was there is not what the guard says.
	ErrChanged = errors.New("it is not what it was")
	// ErrUnknown: it was asked for, and no answer says whether it was done.
	ErrUnknown = errors.New("whether it was done isn't known")
)

// Limits of what is read or written.
const (
	MaxFile  = 16 << 20 // bytes
	MaxBody  = 16 << 20 // bytes
	patience = 10 * time.Second
)

// Modules are the names under which instruments have them.
var Modules = []string{"file", "http", "ovsdb"}

// Allowed is what was allowed. Nil: nothing.
type Allowed struct {
	hosts   []string // HOST:PORT
	folders []string
	servers []string
	site    Site
}

// Parse reads what a person or an agent allows: http=HOST:PORT, file=FOLDER, ovsdb=METHOD. site is for databases that
// are called by TLS.
func Parse(list []string, site Site) (*Allowed, error) {
	a := &Allowed{site: site}
	for _, text := range list {
		kind, what, ok := strings.Cut(text, "=")
		if !ok || what == "" {
			return nil, fmt.Errorf("%q allows nothing: http=HOST:PORT, file=FOLDER or ovsdb=METHOD do", text)
		}
		switch kind {
		case "http":
			host, port, err := net.SplitHostPort(what)
			if err != nil || host == "" || port == "" {
				return nil, fmt.Errorf("http=%s names no host and port: http=s3.example.com:9000", what)
			}
			a.hosts = append(a.hosts, strings.ToLower(what))
		case "file":
			folder, err := filepath.Abs(what)
			if err != nil {
				return nil, err
			}
			if info, err := os.Stat(folder); err != nil {
				return nil, fmt.Errorf("file=%s: %w", what, err)
			} else if !info.IsDir() {
				return nil, fmt.Errorf("file=%s is no folder", what)
			}
			a.folders = append(a.folders, folder)
		case "ovsdb":
			if _, err := server(what, site); err != nil {
				return nil, err
			}
			a.servers = append(a.servers, what)
		default:
			return nil, fmt.Errorf("%q: there are http=HOST:PORT, file=FOLDER and ovsdb=METHOD", kind)
		}
	}
	return a, nil
}

// Has tells whether anything of a module is allowed.
func (a *Allowed) Has(module string) bool {
	if a == nil {
		return false
	}
	switch module {
	case "http":
		return len(a.hosts) > 0
	case "file":
		return len(a.folders) > 0
	case "ovsdb":
		return len(a.servers) > 0
	}
	return false
}

package flow

import (
	"fmt"
	"maps"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
)

// header is a key of a header of HTTP requests, as it was sent with net/http and came to a handler of it. Where it is
// set anew for each request, as the parent in traceparent (W3C Trace Context), it tells requests apart.
func header(name string) Key {
	path := fmt.Sprintf("req.Header[%q][0]", textproto.CanonicalMIMEHeaderKey(name))
	return Key{At: "net/http.(*persistConn).roundTrip", Ingress: path, Egress: path}
}

// headerName is a header that may be a key.
var headerName = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// presetOf gives a key that is known: of presets, traceparent, or header:NAME.
func presetOf(name string) (Key, error) {
	if k, known := presets[name]; known {
		return k, nil
	}
	if of, found := strings.CutPrefix(name, "header:"); found && headerName.MatchString(of) {
		return header(of), nil
	}
	return Key{}, invalid("preset: there is no %q: %s, header:NAME", name,
		strings.Join(slices.Sorted(maps.Keys(presets)), ", "))
}

// presets are keys of libraries that many programs have. Where a flow enters doesn't matter for them: it is known again
// by what it was sent on with.
var presets = map[string]Key{
	// The id and the question of a DNS message. github.com/miekg/dns v1.1: each message is packed by PackBuffer, replies
	// too, which no handler is asked; handlers call what they were asked r.
	"dns": {At: "github.com/miekg/dns.(*Msg).PackBuffer",
		Ingress: "dns.MsgHdr.Id + dns.MsgHdr.Response + dns.Question[0].Name",
		Egress:  "r.MsgHdr.Id + r.MsgHdr.Response + r.Question[0].Name"},
	// Both ports of the connection by which an HTTP/1.1 request is sent, and its path: of the four-tuple the addresses are
	// written differently at both ends, and aren't the same behind NAT. net/http of Go 1.20 to 1.27; flows leave at
	// net/http.serverHandler.ServeHTTP.
	"http-ports": {At: "net/http.(*persistConn).roundTrip",
		Ingress: "pc.conn.(*net.TCPConn).conn.fd.laddr.(*net.TCPAddr).Port + " +
			"pc.conn.(*net.TCPConn).conn.fd.raddr.(*net.TCPAddr).Port + req.URL.Path",
		Egress: "rw.(*http.response).conn.rwc.(*net.TCPConn).conn.fd.raddr.(*net.TCPAddr).Port + " +
			"rw.(*http.response).conn.rwc.(*net.TCPConn).conn.fd.laddr.(*net.TCPAddr).Port + req.URL.Path"},
	"traceparent": header("Traceparent"),
}

// expand puts a preset's own in its place.
func (k *Key) expand() error {
	if k.Preset == "" {
		return nil
	}
	p, err := presetOf(k.Preset)
	if err != nil {
		return err
	}
	for _, has := range [][2]string{{k.At, p.At}, {k.Ingress, p.Ingress}, {k.Egress, p.Egress}} {
		if has[0] != "" && has[0] != has[1] {
			return invalid("preset: %s says at, ingress and egress itself", k.Preset)
		}
	}
	k.At, k.Ingress, k.Egress = p.At, p.Ingress, p.Egress
	return nil
}

// keyPaths are the paths of which keys may be made at a side: those of the device, and those of its presets, which may
// be used for nothing else.
func (d *Device) keyPaths(side string) []string {
	paths := d.Paths
	if side == egress {
		paths = d.egressPaths()
	}
	for _, k := range d.Keys {
		if p, err := presetOf(k.Preset); k.Preset != "" && err == nil {
			text := p.Ingress
			if side == egress {
				text = p.Egress
			}
			paths = append(slices.Clip(paths), strings.Split(text, " + ")...)
		}
	}
	return paths
}

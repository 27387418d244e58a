package flow

import (
	"maps"
	"slices"
	"strings"
)

// presets are keys of libraries that many programs have. Where a flow enters doesn't matter for them: it is known again
// by what it was sent on with.
var presets = map[string]Key{
	// The id and the question of a DNS message. github.com/miekg/dns v1.1: each message is packed by PackBuffer, and
	// handlers call what they were asked r.
	"dns": {At: "github.com/miekg/dns.(*Msg).PackBuffer", Ingress: "dns.MsgHdr.Id + dns.Question[0].Name",
		Egress: "r.MsgHdr.Id + r.Question[0].Name"},
	// Both ports of the connection by which an HTTP/1.1 request is sent, and its path: of the four-tuple the addresses are
	// written differently at both ends, and aren't the same behind NAT. net/http of Go 1.20 to 1.27; flows leave at
	// net/http.serverHandler.ServeHTTP.
	"http-ports": {At: "net/http.(*persistConn).roundTrip",
		Ingress: "pc.conn.(*net.TCPConn).conn.fd.laddr.(*net.TCPAddr).Port + " +
			"pc.conn.(*net.TCPConn).conn.fd.raddr.(*net.TCPAddr).Port + req.URL.Path",
		Egress: "rw.(*http.response).conn.rwc.(*net.TCPConn).conn.fd.raddr.(*net.TCPAddr).Port + " +
			"rw.(*http.response).conn.rwc.(*net.TCPConn).conn.fd.laddr.(*net.TCPAddr).Port + req.URL.Path"},
}

// expand puts a preset's own in its place.
func (k *Key) expand() error {
	if k.Preset == "" {
		return nil
	}
	p, known := presets[k.Preset]
	if !known {
		return invalid("preset: there is no %q: %s", k.Preset, strings.Join(slices.Sorted(maps.Keys(presets)), ", "))
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
		if p, known := presets[k.Preset]; known {
			text := p.Ingress
			if side == egress {
				text = p.Egress
			}
			paths = append(slices.Clip(paths), strings.Split(text, " + ")...)
		}
	}
	return paths
}

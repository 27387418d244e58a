//go:build linux && amd64

package player

import (
	"net"
	"slices"
	"strings"
	"time"
)

// listens waits until the program listens at an address of the recording, and gives where that is: a program that
// listens at a port of the kernel's choice has another one.
func (p *player) listens(network, local string) string {
	key := network + " " + local
	if at, ok := p.heard[key]; ok {
		return at
	}
	at := ""
	found := func() bool {
		for _, have := range p.prog.Listening() {
			if covers(have, key) {
				at = local
				return true
			}
		}
		return false
	}
	if !p.await(found, otherPatience) {
		if at = p.another(key); at == "" && !p.await(found, listenPatience) {
			at = local
		}
	}
	p.heard[key] = at
	return at
}

// otherPatience is how long a program that does nothing may take to listen at the recorded address before another one
// is taken for it.
const otherPatience = 100 * time.Millisecond

// listenPatience is how long a program that does nothing may take to listen.
const listenPatience = 3 * time.Second

// another is where the program listens in place of a recorded address, at which nobody does; "" if it isn't known. Of
// several, the one is it that has the same place in their order.
func (p *player) another(key string) string {
	network, local, _ := strings.Cut(key, " ")
	have := p.prog.Listening()
	var unknown, missing []string
	for _, at := range have {
		known := !strings.HasPrefix(at, network+" ")
		for _, recorded := range p.plan.listen {
			known = known || covers(at, recorded) || covers(recorded, at)
		}
		for _, heard := range p.heard {
			known = known || covers(at, network+" "+heard)
		}
		if !known {
			unknown = append(unknown, at)
		}
	}
	for _, recorded := range p.plan.listen {
		_, heard := p.heard[recorded]
		there := slices.ContainsFunc(have, func(at string) bool { return covers(at, recorded) })
		if !heard && !there && strings.HasPrefix(recorded, network+" ") && !slices.Contains(missing, recorded) {
			missing = append(missing, recorded)
		}
	}
	if len(missing) != len(unknown) { // some are there for a short time only
		missing = slices.DeleteFunc(missing, func(recorded string) bool { return !p.plan.comes(recorded) })
	}
	i := max(0, slices.Index(missing, key))
	if i >= len(unknown) {
		return ""
	}
	p.report.note("the program listens at %s in place of %s", unknown[i], key)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(unknown[i], network+" "))
	host, _, _ := net.SplitHostPort(local)
	return net.JoinHostPort(host, port)
}

// covers tells that a socket which listens at an address takes what comes to another.
func covers(have, want string) bool {
	if have == want {
		return true
	}
	network, local, _ := strings.Cut(have, " ")
	network2, local2, _ := strings.Cut(want, " ")
	host, port, err := net.SplitHostPort(local)
	_, port2, err2 := net.SplitHostPort(local2)
	if err != nil || err2 != nil || network != network2 || port != port2 {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsUnspecified()
}

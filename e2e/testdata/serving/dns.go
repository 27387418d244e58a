package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
)

// lookups has names looked up by package net, of a server of its own that knows a.test only.
func lookups() (did []string) {
	server := must(net.ListenPacket("udp", "127.0.0.1:0"))
	defer server.Close()
	go func() {
		question := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(question)
			if err != nil {
				return
			}
			server.WriteTo(answer(question[:n]), from)
		}
	}()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	for _, name := range []string{"a.test.", "b.test."} {
		addresses, err := resolver.LookupIPAddr(context.Background(), name)
		did = append(did, fmt.Sprint("ip ", name, " ", len(addresses), " ", err != nil))
		ips, err := resolver.LookupIP(context.Background(), "ip4", name)
		did = append(did, fmt.Sprint("ip4 ", name, " ", len(ips), " ", err != nil))
		texts, err := resolver.LookupHost(context.Background(), name)
		did = append(did, fmt.Sprint("ip ", name, " ", len(texts), " ", err != nil))
	}
	return did
}

// answer is one of RFC 1035: 127.0.0.1 and ::1, or that there is no such name.
func answer(question []byte) []byte {
	end := 12
	for question[end] != 0 {
		end += 1 + int(question[end])
	}
	name, kind := question[12:end+1], binary.BigEndian.Uint16(question[end+1:])
	out := append(append([]byte{}, question[:2]...), 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0)
	out = append(out, question[12:end+5]...)
	data := map[uint16][]byte{1: net.IPv4(127, 0, 0, 1).To4(), 28: net.IPv6loopback}[kind]
	switch {
	case string(name) != "\x01a\x04test\x00":
		out[3] |= 3
	case data != nil:
		out[7] = 1
		out = append(out, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 60, 0, byte(len(data)))
		out = append(out, data...)
	}
	return out
}

package record

import (
	"maps"
	"net"
	"path/filepath"
	"slices"

	"ri/attach"
	"ri/attach/recorded"
	"ri/record/redact"
	"ri/symbols"
	"ri/values"
)

// symbols writes what was asked of the executable, as far as that wasn't written before: the parts, and then the header
// that goes with them.
func (m *maker) symbols() error {
	tokens := redact.NewTokens(m.opt.Key)
	p, err := m.session.File.Portable(symbols.PortableOptions{Whole: m.opt.WholeSymbols,
		Hide: func(text string) string { return string(values.MarkToken(tokens.Of([]byte(text)))) }})
	if err != nil {
		return err
	}
	if p, err = m.shipped.Rest(p); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(p.Parts)) {
		if err := m.writer.Block(recorded.SymbolsBlock+"/"+name, p.Parts[name], 0, 0); err != nil {
			return err
		}
	}
	return m.block(recorded.SymbolsBlock, p.Header)
}

// process is what is known of the process, of all looks.
func (m *maker) process() recorded.Process {
	t := m.session.Target
	p := recorded.Process{PID: t.PID(), Executable: filepath.Base(t.ExecutablePath()),
		Machine: uint16(m.session.File.Arch().Machine),
		Entry:   t.Entry(), Ends: t.Ends(), Heap: m.opt.Heap}
	for _, x := range m.mapped {
		x.Path = ""
		p.Mappings = append(p.Mappings, x)
	}
	if c, ok := t.(attach.Connected); ok {
		if list, err := c.Descriptors(); err == nil {
			p.Files = m.descriptors(list)
		}
	}
	return p
}

// descriptors are what is kept of them: paths and peers are texts of elsewhere.
func (m *maker) descriptors(list []attach.Descriptor) []attach.Descriptor {
	tokens := redact.NewTokens(m.opt.Key)
	hide := func(s *string) {
		if *s != "" {
			*s = string(values.MarkToken(tokens.Of([]byte(*s))))
		}
	}
	peer := func(s *string) { // a port is a single number
		if host, port, err := net.SplitHostPort(*s); err == nil {
			hide(&host)
			*s = host + ":" + port
			return
		}
		hide(s)
	}
	for i := range list {
		d := &list[i]
		hide(&d.Path)
		hide(&d.Err)
		if d.Socket != nil {
			socket := *d.Socket
			peer(&socket.Local)
			peer(&socket.Remote)
			d.Socket = &socket
		}
	}
	return list
}

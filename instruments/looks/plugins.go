package looks

import (
	"bytes"
	"fmt"
	"os"

	"ri/attach"
	"ri/files"
	"ri/symbols"
	"ri/values"
)

// spaceOf joins the session's symbols, and those of plugins, with memory.
func (s *Session) spaceOf(cache *attach.Cache) *values.Space {
	space := values.New(s.File, cache, s.Bias)
	if s.Target.Kind() == attach.Living {
		space.OpenPlugins(func(m values.Module) *symbols.File { return s.plugin(cache, m) })
	}
	return space
}

// plugin is the file of a plugin that a living process has loaded, by where its code lies; nil where it can't be had,
// or isn't what was loaded. What was found is remembered for the session.
func (s *Session) plugin(mem *attach.Cache, m values.Module) *symbols.File {
	if f, ok := s.plugins[m.Text]; ok {
		return f
	}
	if s.plugins == nil {
		s.plugins = map[uint64]*symbols.File{}
	}
	s.plugins[m.Text] = nil
	f, err := s.openPlugin(m)
	if err != nil {
		return nil
	}
	start, _ := f.GoCode()
	want, _ := f.Code(start)
	if got, err := mem.Slice(m.Text, len(want)); len(want) == 0 || err != nil || !bytes.Equal(want, got) {
		return nil // another build lies there by now
	}
	s.plugins[m.Text] = f
	return f
}

func (s *Session) openPlugin(m values.Module) (*symbols.File, error) {
	mappings, err := s.Target.Mappings()
	if err != nil {
		return nil, err
	}
	for _, one := range mappings {
		if m.Text < one.Start || m.Text >= one.End || one.Path == "" {
			continue
		}
		root, err := os.OpenRoot(fmt.Sprintf("/proc/%d/root", s.Target.PID()))
		if err != nil {
			return nil, err
		}
		defer root.Close()
		file, err := files.In(root)(one.Path)
		if err != nil {
			return nil, err
		}
		return symbols.Open(file, one.Path)
	}
	return nil, os.ErrNotExist
}
